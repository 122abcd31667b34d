"""Weighted decompositions against the one of the weighted matrix."""

import jax
import numpy as np
import pytest

from compressjax.lowrank._weighted import by_rows, whitened


def product(parts, r):
    return (parts.left[..., :r] * parts.values[..., None, :r]) @ parts.right[..., :r, :]


def test_rows(draw):
    matrix, weights = draw.normal(size=(8, 6)).astype(np.float32), draw.uniform(0.1, 3, 8).astype(np.float32)
    parts = by_rows(matrix, matrix.shape, weights)
    np.testing.assert_allclose(product(parts, 6), matrix, atol=1e-5)
    u, s, vt = np.linalg.svd(weights[:, None] * matrix)
    np.testing.assert_allclose(weights[:, None] * product(parts, 2), (u[:, :2] * s[:2]) @ vt[:2], atol=1e-5)
    zero = by_rows(matrix, matrix.shape, np.zeros(8, np.float32))
    np.testing.assert_allclose(product(zero, 6), matrix, atol=1e-5)


@pytest.mark.parametrize("rows", [3, 50])
def test_whitening(draw, rows):
    """The loss identity; with fewer rows than inputs as well, where a Gram matrix has no inverse."""
    matrix, x = draw.normal(size=(8, 6)), draw.normal(size=(rows, 8)) * np.logspace(0, -1, 8)
    parts = whitened(matrix.astype(np.float32), matrix.shape, (x.T @ x).astype(np.float32))
    np.testing.assert_allclose(product(parts, 6), matrix, atol=1e-3)
    lost = np.sum((x @ (matrix - product(parts, 2))) ** 2)
    assert lost == pytest.approx(np.sum(np.linalg.svd(x @ matrix, compute_uv=False)[2:] ** 2), rel=1e-3)
    assert lost == pytest.approx(np.sum(parts.values[2:].astype(np.float64) ** 2), rel=1e-3)


def test_traces(draw):
    matrix, gram = draw.normal(size=(6, 4)).astype(np.float32), np.diag(draw.uniform(1, 2, 6)).astype(np.float32)
    traced = jax.jit(lambda m, g: whitened(m, (6, 4), g))(matrix, gram)
    np.testing.assert_allclose(product(traced, 2), product(whitened(matrix, (6, 4), gram), 2), atol=1e-4)
