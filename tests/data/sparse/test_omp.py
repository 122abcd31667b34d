"""Orthogonal matching pursuit against scikit-learn and the golden values of diabetes."""

import numpy as np
import pytest
from sklearn.datasets import load_diabetes
from sklearn.linear_model import orthogonal_mp

from compressjax import data
from tests.data import laws


def test_codes_are_those_of_scikit_learn(draw):
    atoms = draw.normal(size=(12, 8)) * draw.uniform(0.5, 2, (12, 1))
    x = draw.normal(size=(5, 8))
    codes = data.omp(atoms, x, 3)
    unit = atoms / np.linalg.norm(atoms, axis=1, keepdims=True)
    expected = orthogonal_mp(unit.T, x.T, n_nonzero_coefs=3).T / np.linalg.norm(atoms, axis=1)
    np.testing.assert_allclose(codes, expected, atol=1e-4)


def test_diabetes_is_golden():
    x, y = load_diabetes(return_X_y=True)
    codes = np.asarray(data.omp(x.T, (y - y.mean())[None], 4))[0]
    np.testing.assert_array_equal(np.flatnonzero(codes), [2, 3, 6, 8])
    np.testing.assert_allclose(codes[[2, 3, 6, 8]], [555.2837, 269.6725, -193.9528, 484.978], rtol=1e-4)
    share = 1 - np.sum((y - y.mean() - x @ codes) ** 2) / np.sum((y - y.mean()) ** 2)
    assert share == pytest.approx(0.491498, abs=1e-5)


def test_rows_stop_early_and_bad_input_is_named():
    codes = np.asarray(data.omp(np.eye(3), np.array([[2.0, 0, 0], [0, 0, 0], [3, 0.1, 0]]), 3, tolerance=0.02))
    np.testing.assert_allclose(codes, [[2, 0, 0], [0, 0, 0], [3, 0, 0]])
    twice = np.asarray(data.omp(np.array([[1.0, 0], [1, 0], [0, 1]]), np.array([[1.0, 2]]), 3))
    np.testing.assert_allclose(twice, [[1, 0, 2]], atol=1e-6)
    for atoms, count, said in (
        (np.eye(3), 4, "nonzeros=4 must be at least 1 and at most the 3 atoms"),
        (np.eye(2), 1, "atoms have 2 features, rows 3"),
        (np.diag([1.0, np.nan, 1]), 1, "omp: atoms: row 1, column 1 is nan"),
    ):
        with pytest.raises(ValueError, match=said):
            data.omp(atoms, laws.digits()[:2, :3], count)
