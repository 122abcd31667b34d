"""The bound is tight where rounding is worst, and zero where nothing is rounded."""

import jax.numpy as jnp
import numpy as np

from compressjax import interpret
from tests.interpret import samples


def test_half_a_step_in_every_entry_reaches_the_bound() -> None:
    """Entries next to the midpoint of two codes have an error of half a step each."""
    x = jnp.array([[127.0, 0.4999, 1.4999, 2.4999]])
    node = samples.grid(samples.rng(), (4, 3), (1, 3), activation="dynamic")
    w = jnp.abs(node.materialize()).at[0].set(0.0)
    bound = interpret.integer_bound(x, w)
    rounding = np.asarray([0.4999] * 3) @ np.abs(np.asarray(w))[1:]
    assert (rounding <= bound[0]).all()
    assert (bound[0] <= 1.01 * rounding + 1e-3).all()


def test_static_scales_count_what_they_cut_off() -> None:
    node = samples.grid(samples.rng(), (2, 3), (1, 3), activation="static")
    x = jnp.array([[100.0, 0.0]])
    off = np.array([100 - 127 * 0.02 + 0.01, 0.01])
    asked = off @ np.abs(np.asarray(node.materialize()))
    np.testing.assert_allclose(interpret.integer_bound(x, node)[0], asked, rtol=2e-3)


def test_shapes() -> None:
    w = samples.floats(samples.rng(), 4, 3)
    assert interpret.integer_bound(jnp.ones(4), w).shape == (3,)
    assert interpret.integer_bound(jnp.ones((2, 5, 4)), w).shape == (2, 5, 3)
    assert interpret.integer_bound(jnp.zeros((0, 4)), w).shape == (0, 3)
    assert float(interpret.integer_bound(jnp.zeros((1, 4)), w).max()) < 1e-5
