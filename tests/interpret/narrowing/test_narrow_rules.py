"""Operations that run with reduced sizes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax.interpret.narrowing._narrow_rules import rebind, take
from tests.interpret import cutting


@pytest.mark.parametrize("positions", [[0, 1], [2, 3, 4], [0, 2], [4], [], None])
def test_take(positions):
    x = np.arange(10).reshape(2, 5)
    picked = None if positions is None else np.array(positions, int)
    want = x if positions is None else x[:, positions]
    np.testing.assert_array_equal(take(jnp.asarray(x), 1, picked), want)


def test_neighbors_are_taken_by_a_slice():
    names = [e.primitive.name for e in jax.make_jaxpr(lambda x: take(x, 0, np.array([1, 2])))(jnp.ones(4)).eqns]
    assert "gather" not in names


def test_rebind_keeps_other_settings():
    eqn = jax.make_jaxpr(lambda x: jax.lax.broadcast_in_dim(x, (3, 2), (1,)))(jnp.ones(2)).eqns[0]
    assert rebind(eqn, [jnp.ones(4)], shape=(3, 4))[0].shape == (3, 4)


@pytest.mark.parametrize(
    "between",
    [
        lambda h: h + jnp.broadcast_to(jnp.float32(2.0), h.shape),
        lambda h: jnp.concatenate([h[:, 3:], h[:, :3]], 1),
        lambda h: jnp.concatenate(jnp.split(h, [2, 5], 1)[::-1], 1),
        lambda h: jnp.concatenate([h[:, ::2], h[:, 1::2]], 1),
        lambda h: h[:, ::-1],
        lambda h: h.reshape(h.shape[0], 2, 3).swapaxes(1, 2).reshape(h.shape[0], 6),
        lambda h: h * jnp.arange(6.0)[None],
        lambda h: h + jax.random.normal(jax.random.key(0), h.shape),
        lambda h: h[jnp.array([0, 0])],
        lambda h: jnp.pad(h, ((1, 0), (0, 0))),
        lambda h: h * np.linspace(0, 1, 6, dtype=np.float32)[None],
    ],
)
def test_masked_equals_narrowed(between):
    draw = np.random.default_rng(0)
    p = {
        "a": jnp.asarray(draw.normal(size=(3, 6)), jnp.float32),
        "b": jnp.asarray(draw.normal(size=(6, 2)), jnp.float32),
    }
    assert cutting.agrees(lambda p, x: between(x @ p["a"]) @ p["b"], p, jnp.ones((2, 3)))
