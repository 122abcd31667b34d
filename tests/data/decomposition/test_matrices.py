"""Decompositions of one matrix against closed forms, NumPy and the published bound."""

import jax
import numpy as np
import pytest
import scipy.sparse

from compressjax import data
from tests.data import laws

HAND = np.array([[1.0, 2, 3], [4, 5, 6], [7, 8, 9]])


def test_a_matrix_by_hand():
    """Eigenvalues solve x^3 - 15 x^2 - 18 x = 0, squares of singular values y^3 - 285 y^2 + 324 y = 0."""
    eigen = data.evd(HAND)
    np.testing.assert_allclose(eigen.values, [(15 + 297**0.5) / 2, (15 - 297**0.5) / 2, 0], atol=1e-5)
    np.testing.assert_allclose(HAND @ eigen.vectors, eigen.vectors * eigen.values[None], atol=1e-5)
    np.testing.assert_allclose(
        eigen.vectors[:, 2], np.array([1, -2, 1]) / 6**0.5 * np.sign(eigen.vectors[0, 2]), atol=1e-5
    )
    found = data.svd(HAND)
    # The trace of A^T A is 285, and the sum of its principal 2 x 2 minors is that of the squared minors of A: 324.
    squares = np.array([285 + (285**2 - 4 * 324) ** 0.5, 285 - (285**2 - 4 * 324) ** 0.5]) / 2
    np.testing.assert_allclose(found.values[:2], np.sqrt(squares), rtol=1e-5)
    np.testing.assert_allclose(found.values[2], 0, atol=1e-5)
    np.testing.assert_allclose((found.left * found.values[None]) @ found.right, HAND, atol=1e-5)
    for reducer in (data.pca(1), data.svd_pca(1), data.incremental_pca(1), data.randomized_pca(1, jax.random.key(0))):
        fitted = data.fit(reducer, HAND)
        np.testing.assert_allclose(fitted.explained_variance, [27], rtol=1e-5)
        np.testing.assert_allclose(fitted.components[0], [3**-0.5] * 3, rtol=1e-4)


def test_eigenvalues_of_symmetric_and_turning_matrices():
    symmetric = data.evd(np.array([[2.0, 1], [1, -3]]))
    np.testing.assert_allclose(symmetric.values, [-0.5 - 29**0.5 / 2, -0.5 + 29**0.5 / 2], rtol=1e-6)
    turn = data.evd(np.array([[0.0, -1], [1, 0]]))
    np.testing.assert_allclose(sorted(np.asarray(turn.values).imag), [-1, 1], atol=1e-6)
    with pytest.raises(ValueError, match=r"evd: a matrix of shape \(2, 3\) has no eigenvalues"):
        data.evd(np.ones((2, 3)))


def test_errors_fall_with_the_power_and_keep_the_bound(key):
    rows = laws.digits()
    rows -= rows.mean(0)
    exact = np.linalg.svd(rows, compute_uv=False)
    left = []
    for power in (0, 1, 4):
        found = data.randomized_svd(rows, 10, key, power=power)
        left.append(float(np.linalg.norm(rows - (found.left * found.values[None]) @ found.right)))
    best = np.sqrt((exact[10:] ** 2).sum())
    assert left[0] > left[1] > left[2] * (1 - 1e-6)
    assert left[0] < 1.25 * best  # 1.14 in the published scheme
    assert left[2] < 1.0001 * best
    np.testing.assert_allclose(found.values, exact[:10], rtol=1e-4)
    np.testing.assert_allclose(found.left.T @ found.left, np.eye(10), atol=1e-4)


def test_sparse_matrices_and_bad_arguments(key):
    rows = scipy.sparse.random(40, 30, 0.2, "csr", np.float32, np.random.default_rng(0))
    found = data.randomized_svd(rows, 2, key, extra=20)
    np.testing.assert_allclose(found.values, np.linalg.svd(rows.toarray(), compute_uv=False)[:2], rtol=1e-4)
    with pytest.raises(ValueError, match="rank=31 must be at least 1 and at most 30"):
        data.randomized_svd(rows, 31, key)
    with pytest.raises(ValueError, match="svd: row 1, column 0 is nan"):
        data.svd(np.array([[1.0], [np.nan]]))
