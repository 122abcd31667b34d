"""Estimators by nearest neighbors against scikit-learn on the same numbers, and against brute force."""

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.feature_selection import _mutual_info

from compressjax.data.selection import _neighbors


def test_both_estimators_are_those_of_scikit_learn(draw):
    x = draw.normal(size=300)
    y = 0.7 * x + draw.normal(size=300)
    classes = (x + draw.normal(size=300) > 0.5).astype(int)
    classes[:1] = 7  # a class of one row
    classes[1:3] = 8  # fewer rows than neighbors
    for k in (1, 3, 5):
        assert _neighbors.two_numbers(x, y, k) == pytest.approx(_mutual_info._compute_mi_cc(x, y, k), abs=1e-12)
        want = _mutual_info._compute_mi_cd(x, classes, k)
        assert _neighbors.number_and_class(x, classes, k) == pytest.approx(want, abs=1e-12)
    assert _neighbors.number_and_class(x[:3], np.arange(3), 3) == 0


def test_iris_with_the_noise_of_scikit_learn_has_the_golden_values():
    x, y = load_iris(return_X_y=True)
    x = x / x.std(0)
    noise = np.random.RandomState(0).standard_normal(size=x.shape)  # as in scikit-learn
    x = x + 1e-10 * np.maximum(1, np.abs(x).mean(0)) * noise
    found = [_neighbors.number_and_class(column, y, 3) for column in x.T]
    np.testing.assert_allclose(found, [0.4739, 0.2861, 0.9896, 0.9749], atol=6e-5)


def test_places_of_binary_search_are_corrected_by_differences():
    x = 1e8 + np.array([0.0, 0.1, 0.3, 0.6, 1.0])
    radius = np.nextafter(np.abs(x - x[0]), 0)
    want = [(np.abs(x - a) <= r).sum() for a, r in zip(x, radius)]
    assert _neighbors.within(x, x, radius).tolist() == want
