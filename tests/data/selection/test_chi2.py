"""The chi-squared statistic against scikit-learn on three sets."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import load_iris, load_wine
from sklearn.feature_selection import chi2

from compressjax import data
from tests.data import laws


@pytest.mark.parametrize(
    "load", [load_iris, *(pytest.param(x, marks=pytest.mark.thorough) for x in (laws.digits_and_labels, load_wine))]
)
def test_it_is_that_of_scikit_learn(load):
    found = load()
    x, y = found if isinstance(found, tuple) else (found.data.astype(np.float32), found.target)
    reducer = data.select_chi2(3, int(y.max()) + 1)
    fitted = laws.check_pairs(reducer, x, y, 1e-4) if load is load_iris else data.fit(reducer, (x, y))
    want = np.nan_to_num(chi2(x, y)[0])
    np.testing.assert_allclose(fitted.scores, want, rtol=2e-4)
    np.testing.assert_array_equal(fitted.places, np.sort(np.argsort(-want, kind="stable")[:3]))


def test_sparse_rows_stay_sparse():
    x, y = laws.digits_and_labels()
    x, y = x[:80], y[:80]
    dense = data.fit(data.select_chi2(3, 10), (x, y))
    for rows in (sparse.csr_matrix(x), sparse.coo_array(x)):
        laws.assert_close(data.fit(data.select_chi2(3, 10), (rows, y)), dense)
    with pytest.raises(ValueError, match="row 2, column 1 is -3.0, not in"):
        data.fit(data.select_chi2(1, 2), (sparse.csr_matrix(([-3.0], ([2], [1])), (4, 2)), [0, 1, 0, 1]))


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="select_chi2.*row 1, column 0 is -1.0"):
        data.fit(data.select_chi2(1, 2), (np.array([[1.0], [-1.0]]), [0, 1]))
    with pytest.raises(ValueError, match="classes=1 must be at least 2"):
        data.select_chi2(1, 1)
