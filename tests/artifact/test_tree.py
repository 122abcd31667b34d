"""Containers: what is kept, what becomes a dict, and the order of the leaves."""

import json
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx, struct
from flax.core import freeze
from hypothesis import given
from hypothesis import strategies as st

from compressjax.artifact._tree import flatten, unflatten
from compressjax.coding import ArtifactError
from compressjax.core import values

KEYS = st.text("abc", min_size=1, max_size=3) | st.integers(0, 20)


def trees(keys):
    """Trees of the containers that are kept."""
    return st.recursive(
        st.integers() | st.none(),
        lambda x: st.lists(x, max_size=3) | st.tuples(x, x) | st.dictionaries(keys, x, max_size=3),
        max_leaves=8,
    )


class Pair(NamedTuple):
    """A container that JAX knows and JSON does not."""

    second: object
    first: object


@struct.dataclass
class Record:
    """A pytree dataclass."""

    kernel: object
    bias: object


def again(tree):
    leaves, description = flatten(tree)
    return unflatten(json.loads(json.dumps(description)), leaves)


@given(trees(KEYS))
def test_dicts_lists_and_tuples_are_kept(tree):
    assert again(tree) == tree


@given(trees(st.sampled_from("abc")))
def test_types_of_containers_survive(tree):
    assert jax.tree.structure(again(tree)) == jax.tree.structure(tree)


def test_other_containers_become_dicts():
    assert again(freeze({"a": {"b": 1}})) == {"a": {"b": 1}}
    assert type(again(freeze({"a": 1}))) is dict
    assert again(Pair(2, 1)) == {"second": 2, "first": 1}
    assert again([Record(1, None)]) in ([{"kernel": 1, "bias": None}], [{"kernel": 1}])


def test_nnx_states_become_dicts_of_arrays():
    class Two(nnx.Module):
        def __init__(self, rngs):
            self.layers = nnx.List([nnx.Linear(2, 3, rngs=rngs), nnx.Linear(3, 1, rngs=rngs)])

    state = nnx.state(Two(nnx.Rngs(0)))
    tree = again(state)
    assert set(tree["layers"]) == {0, 1}
    np.testing.assert_array_equal(tree["layers"][1]["kernel"], state["layers"][1]["kernel"][...])


def test_paths_are_those_of_values():
    tree = {"b": [jnp.ones(1), {"x": jnp.ones(2)}], "a": (jnp.ones(3),)}
    assert list(flatten(tree)[0]) == list(values(tree)) == ["a/0", "b/0", "b/1/x"]


def test_shared_paths_and_odd_keys_are_refused():
    with pytest.raises(ArtifactError, match="two leaves share the path 'a/b'"):
        flatten({"a/b": 1, "a": {"b": 2}})
    with pytest.raises(ArtifactError, match=r"key \(1, 2\) under 'a' is neither a string nor an integer"):
        flatten({"a": {(1, 2): 3}})


@pytest.mark.parametrize("description", [{"x": []}, 2, True, "a", {"l": 1}, {"d": [["a"]]}, {"d": [[[], 1]]}, [1], {}])
def test_descriptions_that_make_no_sense_are_refused(description):
    with pytest.raises(ArtifactError, match="unknown container"):
        unflatten(description, {"a": 1})


def test_the_number_of_leaves_must_fit():
    with pytest.raises(ArtifactError, match="more places"):
        unflatten({"l": [1, 1]}, {"0": 1})
    with pytest.raises(ArtifactError, match="fewer places"):
        unflatten({"l": [1]}, {"0": 1, "b": 2})
    description = 1
    for _ in range(300):
        description = {"l": [description]}
    with pytest.raises(ArtifactError, match="unknown container"):
        unflatten(description, {"a": 1})
