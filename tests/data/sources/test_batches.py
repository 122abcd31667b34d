"""Batches as matrices of finite numbers; where a value is bad."""

import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import data
from compressjax.data.sources import _batches


def test_numbers_pass_and_places_are_those_of_the_source():
    for x in (np.ones((2, 3), np.uint8), np.ones((2, 3), bool), jnp.ones((2, 3)), [[1, 2, 3], [4, 5, 6]]):
        assert _batches.rows_of("pca", x, 0).shape == (2, 3)
    x = np.ones((4, 3))
    x[2, 1] = -np.inf
    with pytest.raises(ValueError, match="pca: row 1002, column 1 is -inf; drop the row, or impute it"):
        _batches.rows_of("pca", x, 1000)
    with pytest.raises(ValueError, match="encode text and categories first"):
        _batches.rows_of("pca", np.array([["a"]]), 0)


def test_labels_belong_to_rows_and_classes():
    reads = data.Reads("classes", classes=3, low=0)
    x, y = _batches.batch_of("chi2", (np.ones((3, 2)), [0, 2, 1]), 0, reads)
    assert x.shape == (3, 2)
    assert y.tolist() == [0, 2, 1]
    for labels, said in [
        ([0, 3, 1], "the label of row 11 is 3, no class; they are integers from 0, below classes=3"),
        ([0, 0.5, 1], "the label of row 11 is 0.5"),
        ([0, 1], r"shape \(2,\); 3 rows need as many"),
        (["a", "b", "c"], "encode names of classes first"),
    ]:
        with pytest.raises(ValueError, match=said):
            _batches.batch_of("chi2", (np.ones((3, 2)), labels), 10, reads)
    with pytest.raises(ValueError, match=r"row 10, column 1 is -1.0, not in \[0, inf\]; scale or bin"):
        _batches.batch_of("chi2", (np.array([[1.0, -1.0]]), [0]), 10, reads)
    with pytest.raises(ValueError, match="it must be a pair"):
        _batches.batch_of("chi2", np.ones((3, 2)), 10, reads)
    with pytest.raises(ValueError, match="the label of row 1 is nan, not finite"):
        _batches.batch_of("corr", (np.ones((2, 2)), [0.0, np.nan]), 0, data.Reads("numbers"))


def test_missing_values_pass_where_they_are_read():
    x = np.array([[1.0, np.nan]])
    assert np.isnan(_batches.rows_of("impute", x, 0, data.Reads(missing=True))[0, 1])
    with pytest.raises(ValueError, match="row 0, column 0 is inf; drop the row"):
        _batches.rows_of("impute", np.inf * x, 0, data.Reads(missing=True))
