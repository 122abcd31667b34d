"""Condition numbers against NumPy."""

import jax.numpy as jnp
import numpy as np

from compressjax import prune
from compressjax.interpret.observing._statistics import of_rows
from tests import helpers


def test_full_rank_and_singular():
    many, few = helpers.array(0, (30, 6)), helpers.array(1, (4, 6))
    stats = {"many": of_rows(many, gram=True), "few": of_rows(few, gram=True), "none": of_rows(few, gram=False)}
    found = prune.hessian_condition(stats)
    assert set(found) == {"many", "few"}
    h = np.asarray(many, np.float64).T @ np.asarray(many, np.float64)
    damped = h + 0.01 * np.mean(np.diagonal(h)) * np.eye(6)
    np.testing.assert_allclose(found["many"].number, [np.linalg.cond(h)], rtol=1e-3)
    np.testing.assert_allclose(found["many"].damped, [np.linalg.cond(damped)], rtol=1e-3)
    assert found["many"].rank.tolist() == [6]
    assert found["few"].rank.tolist() == [4]
    assert np.isinf(found["few"].number).all()
    assert found["few"].fallback.tolist() == [False]
    assert np.isfinite(prune.hessian_condition(stats, 0.0)["many"].damped).all()
    # Without damping, only the singular one has eigenvalues to be raised.
    bare = prune.hessian_condition(stats, 0.0)
    assert [bare[name].fallback.tolist() for name in ("many", "few")] == [[False], [True]]


def test_layers_of_a_stack():
    stats = {"w": of_rows(jnp.stack([helpers.array(i, (30, 4)) for i in range(3)]), gram=True)}
    assert prune.hessian_condition(stats)["w"].number.shape == (3,)
