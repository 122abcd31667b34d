"""Roots of inverses against NumPy, and what happens to singular matrices."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax.numerics._second_order import inverse_root


def gram(rows, size, seed=0):
    x = np.random.default_rng(seed).normal(size=(rows, size))
    return (x.T @ x).astype(np.float32)


@pytest.mark.parametrize("scale", [1e-20, 1.0, 1e20])
def test_is_a_root_of_the_inverse(scale):
    h = gram(50, 12) * np.float32(scale)
    found = inverse_root(jnp.asarray(h), 0.01)
    damped = h.astype(np.float64) + 0.01 * np.mean(np.diagonal(h).astype(np.float64)) * np.eye(12)
    u = np.asarray(found.root, np.float64)
    np.testing.assert_allclose(u.T @ u @ damped, np.eye(12), atol=1e-4)
    np.testing.assert_array_equal(np.tril(u, -1), 0)
    assert (np.diagonal(u) > 0).all()
    assert not found.fallback
    assert 1 <= float(found.condition) <= np.linalg.cond(damped) * 1.001


def test_singular_without_damping_falls_back():
    h = gram(3, 8)
    found = jax.jit(lambda h: inverse_root(h, 0.0))(jnp.asarray(h))
    u = np.asarray(found.root, np.float64)
    assert found.fallback
    assert np.isfinite(u).all()
    np.testing.assert_allclose(np.tril(u, -1), 0, atol=1e-4 * np.abs(u).max())
    # On the span of the inputs, the root still inverts.
    values, vectors = np.linalg.eigh(h.astype(np.float64))
    seen = vectors[:, -3:]
    np.testing.assert_allclose(seen.T @ u.T @ u @ seen, np.diag(1 / values[-3:]), rtol=0.05, atol=0.05 / values[-3])


def test_inputs_that_never_occur_stand_alone():
    h = gram(20, 5)
    h[2] = h[:, 2] = 0
    u = np.asarray(inverse_root(jnp.asarray(h), 0.0).root)
    assert np.isfinite(u).all()
    np.testing.assert_array_equal(np.delete(u[2], 2), 0)
    np.testing.assert_array_equal(np.delete(u[:, 2], 2), 0)
    alive = [0, 1, 3, 4]
    inverse = np.linalg.inv(h[np.ix_(alive, alive)].astype(np.float64))
    np.testing.assert_allclose((u.T @ u)[np.ix_(alive, alive)], inverse, rtol=1e-3, atol=1e-5)
    assert np.isfinite(np.asarray(inverse_root(jnp.zeros((3, 3))).root)).all()


def test_bad_input():
    with pytest.raises(ValueError, match=r"hessian \(2, 3\) must be square"):
        inverse_root(jnp.zeros((2, 3)))
    with pytest.raises(ValueError, match="damping=-1"):
        inverse_root(jnp.zeros((2, 2)), -1)
