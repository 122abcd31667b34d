"""Leading directions in a few passes, dense and sparse, against exact ones."""

import numpy as np
import pytest
import scipy.sparse
from sklearn.decomposition import PCA, TruncatedSVD

from compressjax import data
from tests.data import laws

GOLDEN = [567.0066, 542.2519, 504.6306, 426.1177, 353.3350, 325.8204, 305.2616, 281.1603]  # NumPy, centered digits


def test_singular_values_of_the_digits_are_the_golden_ones(key):
    rows = laws.digits() + 50
    fitted = laws.check(data.randomized_pca(8, key, passes=6), rows, 1e-3)
    np.testing.assert_allclose(fitted.singular_values, GOLDEN, rtol=1e-5)
    reference = PCA(8, svd_solver="full").fit(rows.astype(np.float64))
    assert float(fitted.noise_variance) == pytest.approx(reference.noise_variance_, rel=1e-4)
    errors = [
        np.abs(data.fit(data.randomized_pca(8, key, passes=p), rows).singular_values / np.array(GOLDEN) - 1).max()
        for p in (2, 4)
    ]
    assert errors[1] < 0.2 * errors[0]


def test_sparse_rows_stay_sparse_and_give_the_same(key):
    rows = scipy.sparse.random(90, 40, 0.1, "csr", np.float32, np.random.default_rng(0))
    dense = rows.toarray()
    for make in (data.randomized_pca, data.truncated_svd):
        reducer = make(3, key, extra=20, passes=8)
        fitted = data.fit(reducer, [rows[:45], rows[45:]])
        laws.assert_close(fitted, data.fit(reducer, dense), 1e-3)
    reference = TruncatedSVD(3, algorithm="arpack").fit(dense.astype(np.float64))
    laws.assert_close(fitted.singular_values, reference.singular_values_, 1e-4)
    laws.assert_close(np.abs(fitted.components @ reference.components_.T), np.eye(3), 1e-2)
    laws.assert_close(fitted.transform(scipy_to_bcoo(rows)), fitted.transform(dense), 1e-4)


def scipy_to_bcoo(rows):
    from jax.experimental.sparse import BCOO

    return BCOO.from_scipy_sparse(rows)


def test_bad_arguments_are_named(key):
    with pytest.raises(ValueError, match="components=0 must be at least 1, extra=10"):
        data.randomized_pca(0, key)
    with pytest.raises(ValueError, match="truncated_svd: 3 rows of 8 features do not have components=4"):
        data.fit(data.truncated_svd(4, key), np.ones((3, 8)))
