"""CKA against NumPy, and what it does not depend on."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from compressjax import distill


def test_value_and_invariance(key: jax.Array) -> None:
    a, b = jax.random.split(key)
    x, y = jax.random.normal(a, (6, 3)), jax.random.normal(b, (6, 2, 2)) + 1
    p, q = (np.asarray(v, np.float64).reshape(6, -1) for v in (x, y))
    p, q = p - p.mean(0), q - q.mean(0)
    norm = np.linalg.norm
    want = norm(q.T @ p) ** 2 / norm(p.T @ p) / norm(q.T @ q)
    np.testing.assert_allclose(distill.cka(x, y), want, rtol=1e-4)
    turned = 1e5 * x @ jnp.asarray(scipy.stats.ortho_group.rvs(3, random_state=0), jnp.float32) + 7
    np.testing.assert_allclose(distill.cka(turned, y), want, rtol=1e-3)
    np.testing.assert_allclose(distill.cka(x, x), 1.0, rtol=1e-5)
    assert distill.cka(x, jnp.ones((6, 4))) == 0


@pytest.mark.thorough
def test_weights(key: jax.Array) -> None:
    x, y = (jax.random.normal(k, (5, 3)) for k in jax.random.split(key))
    got = distill.cka(x.at[3].set(jnp.nan), y, weights=jnp.array([1.0, 2.0, 1.0, 0.0, 1.0]))
    pick = jnp.array([0, 1, 1, 2, 4])
    np.testing.assert_allclose(got, distill.cka(x[pick], y[pick]), rtol=1e-4)
    slope = jax.grad(lambda y: distill.cka(x, y))(y)
    assert np.any(slope)  # no side is a teacher
    with pytest.raises(ValueError, match="over the same 2 or more"):
        distill.cka(x, y[:3])


@pytest.mark.thorough
def test_constant_layers_are_alike_to_nothing():
    x = jax.random.normal(jax.random.key(0), (12, 3))
    for a, b in ((0.1, 1.7), (0.3, None), (1.0, 1.0)):
        other = x if b is None else jnp.full((12, 5), b)
        assert float(distill.cka(jnp.full((12, 4), a), other)) == 0.0
