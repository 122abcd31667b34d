"""Some columns, in order."""

import jax.numpy as jnp
import pytest

from compressjax import data
from compressjax.data.selection._selected import top_places


def test_columns_come_and_go():
    fitted = data.Selected(jnp.array([0, 2]), jnp.array([3.0, 1.0, 2.0]))
    x = jnp.array([[1.0, 2.0, 3.0]])
    assert fitted.transform(x).tolist() == [[1.0, 3.0]]
    assert fitted.inverse_transform(fitted.transform(x)).tolist() == [[1.0, 0.0, 3.0]]


def test_the_largest_scores_win_and_ties_go_to_the_first():
    assert top_places("s", jnp.array([1.0, 5.0, 5.0, 0.0, 5.0]), 2).tolist() == [1, 2]
    with pytest.raises(ValueError, match="k=6 must be at least 1 and at most the 5 features"):
        top_places("s", jnp.ones(5), 6)


def test_scores_from_anywhere_select():
    fitted = data.select_by([1.0, 3.0, 2.0], 2)
    assert fitted.places.tolist() == [1, 2]
    with pytest.raises(ValueError, match="k=4"):
        data.select_by([1.0, 3.0, 2.0], 4)
