"""Eigenvectors with one sign, and singular vectors from the smaller product."""

import jax
import numpy as np
import pytest

from compressjax.data.decomposition import _eigen


@pytest.mark.parametrize("shape", [(12, 5), (4, 9)])
def test_leading_vectors_are_those_of_numpy(shape, draw):
    rows = draw.normal(size=shape).astype(np.float32)
    values, vectors = jax.jit(_eigen.leading, static_argnums=1)(rows, 3)
    _, expected, right = np.linalg.svd(rows)
    np.testing.assert_allclose(values, expected[:3] ** 2, rtol=1e-5)
    np.testing.assert_allclose(_eigen.signed(vectors), _eigen.signed(right[:3]), atol=1e-5)


def test_more_vectors_than_rows_are_zero():
    values, vectors = _eigen.leading(np.ones((1, 4), np.float32), 3)
    np.testing.assert_allclose(values, [4, 0, 0], atol=1e-6)
    np.testing.assert_allclose(vectors[1:], 0)


def test_the_largest_entry_is_positive():
    np.testing.assert_array_equal(_eigen.signed(np.array([[1.0, -2.0], [3.0, -2.0]])), [[-1, 2], [3, -2]])
    values, vectors = _eigen.eigen(np.diag([1.0, 3.0]))
    np.testing.assert_allclose(values, [3, 1])
    np.testing.assert_allclose(vectors, [[0, 1], [1, 0]])


def test_some_eigenvectors_are_those_of_all(draw):
    scatter = np.cov(draw.normal(size=(30, 8)), rowvar=False)
    for some, every in zip(_eigen.eigen(scatter, 3), _eigen.eigen(scatter)):
        np.testing.assert_allclose(some, every[:3], atol=1e-5)
