"""Grids become values again, at any depth."""

import jax.numpy as jnp
import pytest

from compressjax.recipe import open_grids
from compressjax.tensors import LowRank, Quantized


def test_open_grids_reaches_into_factors():
    grid = Quantized(jnp.array([[1], [2]], jnp.int8), jnp.array([[0.5]]))
    tree = {"k": LowRank(grid, grid, 1), "other": grid}
    opened = open_grids(tree, "k/left")
    assert opened["k"].left.tolist() == [[0.5], [1.0]]
    assert opened["k"].right is grid
    assert opened["other"] is grid


def test_open_grids_refuses_what_matches_nothing():
    with pytest.raises(ValueError, match="open='nothing' matches none"):
        open_grids({"k": jnp.ones(2)}, "nothing")
