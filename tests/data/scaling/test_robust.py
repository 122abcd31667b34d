"""The robust scaler against scikit-learn, the median scaler against SciPy."""

import numpy as np
import pytest
from scipy.stats import median_abs_deviation
from sklearn.preprocessing import RobustScaler

from compressjax import data
from tests.data import laws


def test_it_is_that_of_scikit_learn():
    rows = laws.digits()[:200, 18:24]
    reducer = data.robust_scaler(0.1, 0.9, size=256)
    fitted = data.fit(reducer, rows)
    halves = [data.gathered(reducer, part) for part in (rows[::2], rows[1::2])]
    laws.assert_close(reducer.finalize(reducer.merge(*halves)), fitted)
    reference = RobustScaler(quantile_range=(10, 90)).fit(rows)
    np.testing.assert_allclose(fitted.shift, reference.center_, rtol=1e-6)
    np.testing.assert_allclose(fitted.scale, reference.scale_, rtol=1e-6)
    many = data.fit(data.robust_scaler(0.1, 0.9, size=32), rows)
    np.testing.assert_allclose(many.scale, reference.scale_, atol=2)


def test_the_median_deviation_is_that_of_scipy(draw):
    rows = np.concatenate([draw.normal(size=(101, 2)), np.full((101, 1), 3.0)], 1).astype(np.float32)
    fitted = data.fit(data.median_scaler(size=128), rows)
    np.testing.assert_allclose(fitted.shift, np.median(rows, 0), rtol=1e-6)
    want = median_abs_deviation(rows[:, :2], scale="normal")
    np.testing.assert_allclose(fitted.scale, [*want, 1.0], rtol=1e-5)


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="low=0.75 and high=0.25"):
        data.robust_scaler(0.75, 0.25)
    with pytest.raises(ValueError, match="size=4 must be at least 8"):
        data.median_scaler(size=4)
