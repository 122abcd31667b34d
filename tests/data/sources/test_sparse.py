"""Sparse batches: padded, checked, multiplied without becoming dense."""

import numpy as np
import pytest
import scipy.sparse
from jax.experimental.sparse import BCOO

from compressjax import data
from compressjax.data._fit import batches_of
from compressjax.data.sources import _sparse

DENSE = np.zeros((5, 4), np.float32)
DENSE[[0, 2, 4], [1, 3, 0]] = [1, -2, 3]


def test_products_are_those_of_the_dense_matrix():
    for kind in (scipy.sparse.csr_matrix, scipy.sparse.coo_array, BCOO.fromdense):
        found = _sparse.sparse_rows("svd", kind(DENSE), 0)
        assert isinstance(found, BCOO)
        matrix = np.arange(20.0, dtype=np.float32)
        for x in (found, DENSE):
            np.testing.assert_allclose(_sparse.product(x, matrix.reshape(4, 5)), DENSE @ matrix.reshape(4, 5))
            np.testing.assert_allclose(
                _sparse.transposed_product(x, matrix.reshape(5, 4)), DENSE.T @ matrix.reshape(5, 4)
            )
    assert len(_sparse.sparse_rows("svd", scipy.sparse.csr_matrix(DENSE), 0).data) == 4  # padded from 3


def test_sparse_arrays_are_cut_by_rows_and_bad_ones_are_named():
    source = scipy.sparse.csc_matrix(DENSE)
    assert [part.shape for part in batches_of(source, size=2)] == [(2, 4), (2, 4), (1, 4)]
    with pytest.raises(ValueError, match=r"standard_scaler: the batch at row 0 is sparse; .* \.toarray\(\)"):
        data.fit(data.standard_scaler(), source)
    bad = DENSE.copy()
    bad[2, 3] = np.nan
    with pytest.raises(ValueError, match="svd: row 12, column 3 is nan"):
        _sparse.sparse_rows("svd", scipy.sparse.csr_matrix(bad), 10)
