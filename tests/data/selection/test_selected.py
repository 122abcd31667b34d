"""Some columns, in order."""

import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental.sparse import BCOO
from scipy import sparse

from compressjax import data
from compressjax.data.selection._selected import top_places


def test_columns_come_and_go():
    fitted = data.Selected(jnp.array([0, 2]), jnp.array([3.0, 1.0, 2.0]))
    x = jnp.array([[1.0, 2.0, 3.0]])
    assert fitted.transform(x).tolist() == [[1.0, 3.0]]
    assert fitted.inverse_transform(fitted.transform(x)).tolist() == [[1.0, 0.0, 3.0]]


def test_chosen_columns_of_sparse_rows():
    fitted = data.Selected(jnp.array([0, 2]), jnp.array([3.0, 1.0, 2.0]))
    x = np.array([[0.0, 2.0, 3.0], [4.0, 0.0, 0.0]], np.float32)
    for rows in (sparse.csr_matrix(x), sparse.coo_array(x), BCOO.fromdense(x)):
        assert fitted.transform(rows).tolist() == [[0.0, 3.0], [4.0, 0.0]]


def test_the_largest_scores_win_and_ties_go_to_the_first():
    assert top_places("s", jnp.array([1.0, 5.0, 5.0, 0.0, 5.0]), 2).tolist() == [1, 2]
    with pytest.raises(ValueError, match="k=6 must be at least 1 and at most the 5 features"):
        top_places("s", jnp.ones(5), 6)


def test_scores_from_anywhere_select():
    fitted = data.select_by([1.0, 3.0, 2.0], 2)
    assert fitted.places.tolist() == [1, 2]
    with pytest.raises(ValueError, match="k=4"):
        data.select_by([1.0, 3.0, 2.0], 4)
