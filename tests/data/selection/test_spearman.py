"""The rank correlation against SciPy, exact and on a sample."""

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.datasets import load_diabetes

from compressjax import data
from tests.data import laws


def test_it_is_that_of_scipy():
    x, y = (part.astype(np.float32) for part in load_diabetes(return_X_y=True))
    fitted = laws.check_pairs(data.select_spearman(4, rows=442), x, y)
    want = [abs(spearmanr(column, y).statistic) for column in x.T]
    np.testing.assert_allclose(fitted.scores, want, atol=1e-6)
    sampled = data.fit(data.select_spearman(4, rows=150), (x, y))
    np.testing.assert_allclose(sampled.scores, want, atol=3 / 150**0.5)
    assert not np.allclose(sampled.scores, want, atol=1e-3)


def test_constant_features_and_few_rows():
    fitted = data.fit(data.select_spearman(1, rows=4), (np.array([[1.0, 2]] * 2 + [[1.0, 3]] * 2), [0.0, 1, 2, 3]))
    assert fitted.scores[0] == 0
    with pytest.raises(ValueError, match="3 rows say nothing"):
        data.fit(data.select_spearman(1, rows=4), (np.ones((3, 1)), [0.0, 1.0, 2.0]))
    with pytest.raises(ValueError, match="rows=1 must be at least 4"):
        data.select_spearman(1, rows=1)
