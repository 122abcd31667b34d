"""Outliers: those of formulas in NumPy and SciPy, with their row, column and distance."""

import numpy as np
import pytest
from scipy.stats import median_abs_deviation, zscore

from compressjax import data


@pytest.mark.parametrize("method", ["z_score", "median", pytest.param("isolation", marks=pytest.mark.thorough)])
def test_planted_values_are_found(method, draw):
    rows = draw.normal(size=(90, 3)).astype(np.float32)
    rows[40, 1], rows[80] = 25.0, -20.0
    report = data.find_outliers(np.split(rows, 3), method=method)
    found = np.flatnonzero(~report.kept)
    if method == "z_score":
        np.testing.assert_array_equal(found, np.flatnonzero((np.abs(zscore(rows)) > 3).any(1)))
    if method == "median":
        apart = np.abs(rows - np.median(rows, 0)) / median_abs_deviation(rows, scale="normal")
        np.testing.assert_array_equal(found, np.flatnonzero((apart > 3.5).any(1)))
    assert {40, 80} <= set(found.tolist())
    assert len(found) < 12
    if method != "isolation":
        assert "row 40: outlier: column 1 is 25, " in str(report)


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="method='both' must be one of"):
        data.find_outliers(np.ones((3, 1)), method="both")
    with pytest.raises(ValueError, match="a list_iterator can be read once"):
        data.find_outliers(iter([np.ones((3, 1))]))
