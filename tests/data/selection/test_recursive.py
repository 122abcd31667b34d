"""Recursive elimination against scikit-learn, with linear models and with any importance."""

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_iris
from sklearn.feature_selection import RFE
from sklearn.linear_model import LinearRegression, Ridge

from compressjax import data
from tests.data import laws


@pytest.mark.parametrize(("step", "ridge"), [(1, 0.0), (3, 2.0)])
def test_the_rounds_are_those_of_scikit_learn(step, ridge):
    x, y = load_diabetes(return_X_y=True)
    x, y = (10 * x).astype(np.float32), y.astype(np.float32)
    fitted = data.fit(data.select_recursive(3, step=step, ridge=ridge), (x, y))
    model = Ridge(ridge) if ridge else LinearRegression()
    want = RFE(model, n_features_to_select=3, step=step).fit(x.astype(np.float64), y.astype(np.float64))
    np.testing.assert_array_equal(fitted.places, np.flatnonzero(want.support_))
    np.testing.assert_array_equal(fitted.scores.max() - fitted.scores, want.ranking_ - 1)


def test_classes_are_columns():
    x, y = load_iris(return_X_y=True)
    fitted = laws.check_pairs(data.select_recursive(2, classes=3), x.astype(np.float32), y)
    want = RFE(LinearRegression(), n_features_to_select=2).fit(x, np.eye(3)[y])
    np.testing.assert_array_equal(fitted.places, np.flatnonzero(want.support_))


def test_any_importance_and_bad_ones():
    seen = []

    def importance(places):
        seen.append(places.tolist())
        return -places.astype(float)

    assert data.eliminate(importance, 4, 1, step=0.5).scores.tolist() == [2, 1, 0, 0]
    assert seen == [[0, 1, 2, 3], [0, 1]]
    with pytest.raises(ValueError, match=r"importances of shape \(1,\) for 4 features"):
        data.eliminate(lambda places: np.ones(1), 4, 1)
    with pytest.raises(ValueError, match="k=5"):
        data.eliminate(importance, 4, 5)
    with pytest.raises(ValueError, match="step=0"):
        data.eliminate(importance, 4, 1, step=0)
    with pytest.raises(ValueError, match="ridge=-1"):
        data.select_recursive(1, ridge=-1)
