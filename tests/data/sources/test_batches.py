"""Batches as matrices of finite numbers; where a value is bad."""

import jax.numpy as jnp
import numpy as np
import pytest

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
