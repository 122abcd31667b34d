"""The linear correlation against scikit-learn."""

import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.feature_selection import r_regression

from compressjax import data
from tests.data import laws


def test_it_is_that_of_scikit_learn():
    x, y = load_diabetes(return_X_y=True)
    x = np.concatenate([100 + 10 * x, np.full((len(x), 1), 7.0)], 1).astype(np.float32)
    fitted = laws.check_pairs(data.select_pearson(4), x, y.astype(np.float32), 1e-4)
    want = np.abs(r_regression(x[:, :-1].astype(np.float64), y))
    np.testing.assert_allclose(fitted.scores[:-1], want, atol=2e-4)
    assert fitted.scores[-1] == 0
    np.testing.assert_array_equal(fitted.places, np.sort(np.argsort(-want)[:4]))
