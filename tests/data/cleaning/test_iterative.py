"""Iterative imputation against scikit-learn with ridge regression."""

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.experimental import enable_iterative_imputer  # noqa: F401 - scikit-learn asks for it
from sklearn.impute import IterativeImputer
from sklearn.linear_model import Ridge

from compressjax import data


@pytest.mark.filterwarnings(f"ignore::{ConvergenceWarning.__module__}.{ConvergenceWarning.__name__}")
def test_it_is_that_of_scikit_learn(draw):
    rows = draw.normal(size=(40, 2)) @ draw.normal(size=(2, 4)) + 0.1 * draw.normal(size=(40, 4))
    rows[draw.random((40, 4)) < 0.2] = np.nan
    new = np.where(draw.random((5, 4)) < 0.3, np.nan, rows[:5])
    fitted = data.fit(data.impute_iterative(rounds=3, ridge=0.5, tolerance=0, rows=40), rows)
    reference = IterativeImputer(Ridge(0.5), max_iter=3, tol=0, imputation_order="roman", keep_empty_features=True)
    np.testing.assert_allclose(fitted.transform(rows), reference.fit_transform(rows), atol=1e-4)
    np.testing.assert_allclose(fitted.transform(new), reference.transform(new), atol=1e-4)
    assert data.fit(data.impute_iterative(rounds=50, tolerance=0.1, rows=40), rows).weights.shape[0] < 50


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="rounds=0"):
        data.impute_iterative(rounds=0)
    with pytest.raises(ValueError, match="impute_iterative: column 0 has no value"):
        data.fit(data.impute_iterative(rows=2), np.array([[np.nan, 1.0], [np.nan, 2.0]]))
