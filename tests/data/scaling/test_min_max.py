"""The min-max scaler against scikit-learn."""

import numpy as np
import pytest
from sklearn.preprocessing import MinMaxScaler

from compressjax import data
from tests.data import laws


@pytest.mark.parametrize("ends", [(0.0, 1.0), (-3.0, 5.0)])
def test_it_is_that_of_scikit_learn(ends):
    rows = laws.digits()
    fitted = laws.check(data.min_max_scaler(*ends), rows)
    reference = MinMaxScaler(ends).fit(rows)
    np.testing.assert_allclose(fitted.transform(rows), reference.transform(rows), atol=1e-5)


def test_an_empty_range_is_refused():
    with pytest.raises(ValueError, match="low=1.0 must be below high=1.0"):
        data.min_max_scaler(1.0, 1.0)
