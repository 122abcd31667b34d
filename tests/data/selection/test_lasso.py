"""Selection by the lasso: features of scikit-learn's, groups as a whole, classes together."""

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_iris
from sklearn.linear_model import Lasso, MultiTaskLasso

from compressjax import data
from tests.data import laws


def test_it_keeps_the_features_of_scikit_learn():
    x, y = (part.astype(np.float32) for part in load_diabetes(return_X_y=True))
    fitted = laws.check_pairs(data.select_lasso(1.0, standardize=False), x, y, 1e-3)
    assert fitted.places.tolist() == [2, 3, 8]
    fitted = data.fit(data.select_lasso(5.0), (x, y))
    z = (x - x.mean(0)) / x.std(0)
    want = Lasso(5.0, tol=1e-9).fit(z.astype(np.float64), y.astype(np.float64)).coef_
    np.testing.assert_allclose(fitted.scores, np.abs(want), atol=2e-3)
    np.testing.assert_array_equal(fitted.places, np.flatnonzero(want))
    assert data.fit(data.select_lasso(5.0, k=2), (x, y)).places.tolist() == np.sort(np.argsort(-abs(want))[:2]).tolist()


def test_classes_and_groups():
    x, y = load_iris(return_X_y=True)
    fitted = data.fit(data.select_lasso(0.1, classes=3, standardize=False), (x, y))
    want = MultiTaskLasso(0.1, tol=1e-9).fit(x, np.eye(3)[y]).coef_
    np.testing.assert_array_equal(fitted.places, np.flatnonzero(want.any(0)))
    grouped = data.fit(data.select_lasso(0.1, classes=3, groups=[0, 0, 1, 1]), (x, y))
    assert grouped.places.tolist() in ([2, 3], [0, 1, 2, 3])


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="penalty=0 must be above 0"):
        data.select_lasso(0)
    with pytest.raises(ValueError, match="penalty=3 leaves no feature; single features enter below 1"):
        data.fit(data.select_lasso(3), (np.array([[1.0], [-1.0]]), [1.0, -1.0]))
