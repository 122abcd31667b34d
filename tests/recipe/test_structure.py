"""A tree comes back from its description with the same containers, nodes, dtypes and bits."""

import json
from typing import NamedTuple

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

from compressjax import recipe, tensors
from tests.helpers import difference
from tests.outside import toy


def through_json(tree):
    structure, arrays = recipe.pack(tree)
    return recipe.unpack(json.loads(json.dumps(structure)), arrays)


TREES = {
    "containers": {"a": [np.ones(2), (np.zeros((1, 2)), None)], "b": {"c": 1, "d": "text", "e": 0.5, "f": True}},
    "scalars": {"a": np.float32(1.5), "b": np.array(3, np.int8)},
    "dtypes": [np.ones(2, t) for t in ("float16", "int8", "uint8", "bool", "int32", ml_dtypes.bfloat16)],
    "empty": {"a": np.zeros((0, 3), np.float32), "b": {}, "c": []},
    "nested nodes": {
        "kernel": tensors.LowRank(
            tensors.Masked(
                tensors.Quantized(np.ones((4, 2), np.int8), np.ones((1, 1), np.float32), order=(1, 0), bits=4),
                np.ones((4, 2), bool),
            ),
            tensors.Codebook(np.zeros(2, np.float32), np.zeros((2, 3), np.uint8)),
            inputs=1,
        ),
        "bias": np.zeros(3),
    },
    "a node from outside": [tensors.Masked(toy.Ternary(np.ones(2), np.ones((3, 2), np.int8)), np.ones((3, 2), bool))],
}


@pytest.mark.parametrize("name", TREES)
def test_trees_come_back(name):
    assert difference(through_json(TREES[name]), TREES[name]) == ""


def test_jax_arrays_come_back_as_numpy():
    back = through_json({"a": jnp.ones((2, 2), jnp.bfloat16)})
    assert isinstance(back["a"], np.ndarray)
    assert back["a"].dtype == jnp.bfloat16


@pytest.mark.parametrize("implementation", ["threefry2x32", "rbg"])
def test_random_keys_come_back_as_keys(implementation):
    keys = jax.random.split(jax.random.key(3, impl=implementation), 2)
    back = through_json({"k": keys})["k"]
    assert back.dtype == keys.dtype
    assert np.array_equal(jax.random.uniform(back[1]), jax.random.uniform(keys[1]))


def test_metadata_comes_back_as_it_was():
    node = through_json(TREES["nested nodes"])["kernel"].left.value
    assert node.order == (1, 0)
    assert node.bits == 4
    jax.tree.structure(node)  # hashable metadata


def test_unknown_objects_are_refused_by_path():
    class Pair(NamedTuple):
        x: int

    for thing in (Pair(1), object(), {1, 2}):
        with pytest.raises(ValueError, match="/a/0"):
            recipe.pack({"a": [thing]})


def test_unknown_nodes_are_refused():
    structure, arrays = recipe.pack(TREES["nested nodes"])
    structure["items"]["kernel"]["name"] = "Unheard"
    with pytest.raises(ValueError, match="Unheard"):
        recipe.unpack(structure, arrays)


def test_a_wrong_shape_is_refused():
    structure, arrays = recipe.pack([np.ones(3)])
    with pytest.raises(ValueError, match="damaged"):
        recipe.unpack(structure, [arrays[0][:2]])
