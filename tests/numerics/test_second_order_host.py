"""The root in NumPy beside the compiled one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax.numerics._second_order import inverse_root
from compressjax.numerics._second_order_host import inverse_root_on_host
from tests.numerics.test_second_order import gram


@pytest.mark.parametrize(("rows", "damping"), [(50, 0.01), (3, 0.0)])
def test_is_the_compiled_root(rows, damping):
    """A regular matrix, and a singular one whose root comes from clipped eigenvalues; both with a dead input."""
    h = gram(rows, 8)
    h[2] = h[:, 2] = 0
    root, condition, fallback = inverse_root_on_host(h, damping)
    want = jax.jit(lambda h: inverse_root(h, damping))(jnp.asarray(h))
    assert fallback == bool(want.fallback) == (rows == 3)
    np.testing.assert_allclose(np.tril(root, -1), 0, atol=1e-4 * np.abs(root).max())
    if rows == 50:  # clipped eigenvalues are rounding errors, which differ
        np.testing.assert_allclose(root, want.root, rtol=1e-3, atol=1e-5 * np.abs(root).max())
        np.testing.assert_allclose(condition, want.condition, rtol=1e-3)
    values, vectors = np.linalg.eigh(h.astype(np.float64))
    seen = vectors[:, values > 1e-3 * values.max()]
    inverse = seen.T @ (root.T.astype(np.float64) @ root) @ seen
    damped = seen.T @ h @ seen + damping * np.mean(np.diagonal(h)) * np.eye(seen.shape[1])
    np.testing.assert_allclose(np.linalg.inv(inverse), damped, rtol=0.05, atol=1e-3 * values.max())
