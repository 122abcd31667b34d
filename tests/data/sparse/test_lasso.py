"""Lasso and elastic net against scikit-learn and the golden values of diabetes."""

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.linear_model import ElasticNet, lasso_path

from compressjax import data
from tests.data import laws

# (penalty, how many weights, objective), scikit-learn 1.9.1 on diabetes
GOLDEN = [(0.1, 7, 1629.054543), (0.5, 4, 2152.122993), (1.0, 3, 2586.943193)]


def test_diabetes_is_golden():
    x, y = load_diabetes(return_X_y=True)
    fitted = data.fit(data.lasso_path([g[0] for g in GOLDEN]), (x, y))
    for i, (penalty, count, value) in enumerate(GOLDEN):
        weights = np.asarray(fitted.weights[2 - i], np.float64)
        assert (weights != 0).sum() == count
        rest = y - x @ weights - float(fitted.intercepts[2 - i])
        assert rest @ rest / 884 + penalty * np.abs(weights).sum() == pytest.approx(value, rel=1e-6)
    weights = np.asarray(fitted.weights[0])
    np.testing.assert_allclose(weights[weights != 0], [367.7016, 6.3097, 307.6021], rtol=1e-3)


def test_knots_of_the_path_are_those_of_least_angles():
    """A feature enters at each of the first knots, within rounding of the penalty."""
    x, y = load_diabetes(return_X_y=True)
    knots = np.array([2.148044, 2.012022, 1.024651, 0.715098])
    around = np.sort(np.concatenate([knots * 1.001, knots * 0.995]))[::-1]
    fitted = data.fit(data.lasso_path(around.tolist(), tolerance=1e-8), (x, y))
    assert (fitted.weights != 0).sum(1).tolist() == [0, 1, 1, 2, 2, 3, 3, 4]


@pytest.mark.turns(2)
@pytest.mark.parametrize("load", [load_wine, load_breast_cancer])
def test_streams_are_the_path_of_scikit_learn(load):
    x, y = load(return_X_y=True)
    x = ((x - x.mean(0)) / x.std(0)).astype(np.float32)
    reducer = data.lasso_path(8, least=1e-2, tolerance=1e-7)
    fitted = data.fit(reducer, [(x[:50], y[:50]), (x[50:], y[50:])])
    penalties, weights, _ = lasso_path(x.astype(np.float64), y - y.mean(), alphas=8, eps=1e-2, tol=1e-7)
    np.testing.assert_allclose(fitted.penalties, penalties, rtol=1e-4)
    laws.assert_close(fitted.weights, weights.T, 5e-3)
    laws.assert_close(fitted.predict(x)[:, -1], x @ weights[:, -1] + y.mean(), 5e-3)
    matrix, offset = fitted.affine()
    laws.assert_close(x @ matrix + offset[None], fitted.predict(x), 1e-5)


def test_the_elastic_net_and_no_intercept(draw):
    x, y = draw.normal(size=(50, 5)).astype(np.float32) + 1, draw.normal(size=50)
    for intercept in (True, False):
        fitted = data.fit(data.lasso(0.2, share=0.4, intercept=intercept, tolerance=1e-8), (x, y))
        reference = ElasticNet(0.2, l1_ratio=0.4, fit_intercept=intercept, tol=1e-12).fit(x, y)
        np.testing.assert_allclose(fitted.weights, reference.coef_, atol=1e-4)
        np.testing.assert_allclose(fitted.predict(x), reference.predict(x), atol=1e-4)
    assert fitted.transform(x).shape == (50, 1)


def test_bad_arguments_are_named():
    for make, said in (
        (lambda: data.lasso(0), "penalty=0 must be above 0"),
        (lambda: data.lasso(1, share=0), r"share=0 must be in \(0, 1\]"),
        (lambda: data.lasso(1, screening="safe"), "screening='safe' one of"),
        (lambda: data.lasso_path(1), "penalties=1 must be at least 2"),
        (lambda: data.lasso_path(3, least=2), "least=2"),
        (lambda: data.fit(data.lasso(1), (np.ones((2, 1)), [1.0, np.nan])), "the label of row 1 is nan"),
    ):
        with pytest.raises(ValueError, match=said):
            make()
