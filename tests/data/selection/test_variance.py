"""Features that vary, against scikit-learn."""

import numpy as np
import pytest
from sklearn.feature_selection import VarianceThreshold

from compressjax import data
from tests.data import laws


@pytest.mark.parametrize("threshold", [0.0, 1.0, 20.0])
def test_it_is_that_of_scikit_learn(threshold):
    rows = laws.digits()
    fitted = laws.check(data.select_variance(threshold), rows)
    reference = VarianceThreshold(threshold).fit(rows.astype(np.float64))
    np.testing.assert_array_equal(fitted.places, reference.get_support(indices=True))
    np.testing.assert_allclose(fitted.scores, rows.astype(np.float64).var(0), rtol=1e-4)


def test_the_largest_k_and_constant_features():
    rows = laws.digits()
    fitted = data.fit(data.select_variance(k=5), rows)
    np.testing.assert_array_equal(fitted.places, np.sort(np.argsort(-rows.var(0))[:5]))
    with pytest.raises(ValueError, match="no feature has a variance above 0.0"):
        data.fit(data.select_variance(), np.full((50, 2), 1e4, np.float32))
    with pytest.raises(ValueError, match="threshold=-1"):
        data.select_variance(-1)
