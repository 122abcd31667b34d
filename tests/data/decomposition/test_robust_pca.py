"""Planted low-rank and sparse parts are recovered exactly."""

import numpy as np
import pytest

from compressjax import data


def test_planted_parts_are_recovered(draw):
    n, rank = 60, 3
    low = draw.normal(size=(n, rank)) @ draw.normal(size=(rank, n)) / n**0.5
    sparse = np.where(draw.random((n, n)) < 0.05, draw.choice([-1.0, 1.0], (n, n)), 0)
    found = data.robust_pca((low + sparse).astype(np.float32))
    assert np.linalg.norm(found.low - low) < 1e-4 * np.linalg.norm(low)
    np.testing.assert_array_equal(np.abs(found.sparse) > 1e-3, sparse != 0)
    assert np.linalg.matrix_rank(np.asarray(found.low), tol=1e-3) == rank
    assert float(found.error) <= 1e-6
    assert int(found.steps) < 500


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="tolerance=0 must be above 0"):
        data.robust_pca(np.ones((2, 2)), tolerance=0)
    with pytest.raises(ValueError, match="row 0, column 1 is nan"):
        data.robust_pca(np.array([[1.0, np.nan]]))
