"""Named leaves of a tree: read, replaced, and refused by name."""

import jax.numpy as jnp
import pytest

from compressjax import core, quant
from compressjax.quant._edit import Edit, by_path


def test_new_leaves_are_in_the_tree_and_old_ones_stay():
    tree = {"a": {"kernel": jnp.ones((2, 3))}, "b": jnp.ones(3)}
    edit = Edit("test", tree)
    edit.outputs("a/kernel", jnp.array([1.0, 2.0, 3.0]))
    made = edit.tree()
    assert made["a"]["kernel"].tolist() == [[1.0, 2.0, 3.0]] * 2
    assert made["b"] is tree["b"]
    assert tree["a"]["kernel"].tolist() == [[1.0] * 3] * 2


def test_absent_and_compressed_leaves_are_named():
    edit = Edit("test", core.compress({"w": jnp.ones((2, 2))}, {"w": quant.rtn(4)}, on_unchanged="ignore"))
    with pytest.raises(ValueError, match=r"test: the tree has no 'v'; it has \['w'\]"):
        edit["v"]
    with pytest.raises(ValueError, match="test: 'w' is compressed already"):
        edit.dense("w")


def test_one_path_or_several():
    assert by_path({"a": "b", ("c", "d"): ["e", "f"]}) == [(("a",), ("b",)), (("c", "d"), ("e", "f"))]
