"""Subspace iteration against the decomposition of NumPy."""

import jax.numpy as jnp
import numpy as np

from compressjax.numerics._subspace import orthonormal, truncated


def test_it_is_the_best_approximation_of_its_rank(draw):
    """Of a stack: values that fall slowly, and a matrix of lower rank than asked for, with a wide range of values."""
    slow = draw.normal(size=(40, 24))
    u, _ = np.linalg.qr(draw.normal(size=(40, 24)))
    v, _ = np.linalg.qr(draw.normal(size=(24, 24)))
    wide = (u * np.where(np.arange(24) < 3, 10.0 ** -np.arange(24), 0)) @ v
    x = np.stack([slow, wide]).astype(np.float32)
    found = truncated(jnp.asarray(x), 4)
    left, values, right = (np.asarray(part, np.float64) for part in found)
    product = (left * values[:, None]) @ right
    for matrix, got, sizes in zip(x, product, values, strict=True):
        true = np.linalg.svd(matrix.astype(np.float64), compute_uv=False)
        best = np.sqrt(np.square(true[4:]).sum())
        assert np.linalg.norm(matrix - got) <= 1.0001 * best + 1e-6 * true[0]
        np.testing.assert_allclose(sizes, true[:4], rtol=2e-3, atol=1e-6)
    np.testing.assert_allclose(left[0].T @ left[0], np.eye(4), atol=1e-5)
    assert np.isfinite(product).all()


def test_bases_of_columns_of_very_different_length_and_of_none(draw):
    y = draw.normal(size=(30, 4)).astype(np.float32) * np.float32([1, 1e-4, 1e-6, 0])
    basis = np.asarray(orthonormal(jnp.asarray(y)), np.float64)
    lengths = np.sort(np.linalg.norm(basis, axis=0))
    np.testing.assert_allclose(lengths, [0, 1, 1, 1], atol=1e-4)
    outside = y - basis @ (basis.T @ y)
    np.testing.assert_allclose(np.linalg.norm(outside, axis=0) / [1, 1e-4, 1e-6, 1], 0, atol=1e-2)
    assert not np.any(np.asarray(orthonormal(jnp.zeros((5, 2)))))
