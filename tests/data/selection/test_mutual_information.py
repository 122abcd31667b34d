"""Information by neighbors: the values of scikit-learn on three sets, and the closed form of a normal pair."""

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.feature_selection import mutual_info_regression

from compressjax import data
from tests.data import laws


def test_iris_and_breast_cancer_have_the_golden_values():
    x, y = load_iris(return_X_y=True)
    fitted = laws.check_pairs(data.select_mutual_information(2, classes=3, rows=150), x.astype(np.float32), y)
    np.testing.assert_allclose(fitted.scores, [0.4739, 0.2861, 0.9896, 0.9749], atol=0.06)  # noise separates ties
    x, y = load_breast_cancer(return_X_y=True)
    fitted = data.fit(data.select_mutual_information(5, classes=2, rows=569), (x, y))
    assert fitted.places.tolist() == [7, 20, 22, 23, 27]


def test_diabetes_has_the_golden_values():
    x, y = load_diabetes(return_X_y=True)
    fitted = data.fit(data.select_mutual_information(3, rows=442), (x, y))
    want = [0.0011, 0.0143, 0.1710, 0.0660, 0.0630, 0.0151, 0.0648, 0.1131, 0.1438, 0.1058]
    np.testing.assert_allclose(fitted.scores, want, atol=0.02)
    mixed = data.fit(data.select_mutual_information(3, rows=442, discrete=[False, True] + 8 * [False]), (x, y))
    kinds = np.arange(10) == 1
    want = mutual_info_regression(x, y, discrete_features=kinds, random_state=0)
    np.testing.assert_allclose(mixed.scores, want, atol=0.06)  # equal labels are many


def test_a_normal_pair_has_a_closed_form(draw):
    x = draw.normal(size=(1000, 2))
    y = 0.9 * x[:, 0] + (1 - 0.81) ** 0.5 * draw.normal(size=1000)
    x = np.concatenate([x, np.full((1000, 1), 3.0)], 1)
    scores = data.fit(data.select_mutual_information(1, rows=1000), (x, y)).scores
    assert scores[0] == pytest.approx(0.8484, abs=3 * 0.0218)
    assert scores[1] < 0.06
    assert scores[2] == 0


def test_discrete_pairs_are_counted_and_bad_arguments_named():
    x = np.array([[0.0], [0.0], [5.0], [5.0]])
    fitted = data.fit(data.select_mutual_information(1, classes=2, discrete=True, rows=4), (x, [0, 0, 1, 1]))
    assert float(fitted.scores[0]) == pytest.approx(np.log(2))
    with pytest.raises(ValueError, match="4 rows do not have neighbors=4"):
        data.fit(data.select_mutual_information(1, neighbors=4, rows=4), (x, [0.0, 1, 2, 3]))
    with pytest.raises(ValueError, match="2 entries for 1 features"):
        data.fit(data.select_mutual_information(1, discrete=[True, False], rows=4), (x, [0.0, 1, 2, 3]))
    with pytest.raises(ValueError, match="neighbors=0"):
        data.select_mutual_information(1, neighbors=0)
