"""Nested dicts of states."""

from typing import Any, NamedTuple

import jax
import numpy as np
import pytest

from compressjax.modules._collection import from_collection, to_collection


class State(NamedTuple):
    """A state with a field called `value`, whose name must not be lost."""

    value: Any
    parts: Any = ()


def test_paths_become_keys():
    state = State({"a/kernel": 1, "b": 2}, (3, State(4)))
    assert to_collection(state) == {
        "value": {"a": {"kernel": 1}, "b": 2},
        "parts": {"0": 3, "1": {"value": 4}},
    }


@pytest.mark.parametrize("state", [(), State(np.ones(2)), State({"a/b": np.ones(1)}, (np.zeros(3),)), np.ones(4)])
def test_round_trip(state):
    collection = {**to_collection(state), "a_module_below": {"value": np.ones(9)}}
    back = from_collection(collection, state, "test")
    assert jax.tree.structure(back) == jax.tree.structure(state)
    assert all(x is y for x, y in zip(jax.tree.leaves(back), jax.tree.leaves(state), strict=True))


@pytest.mark.parametrize("keys", [("a", "a/b"), ("a/b", "a"), ("a/b", "a/b/c")])
def test_an_array_that_is_also_a_group_is_refused(keys):
    with pytest.raises(ValueError, match=r"two arrays under 'a(/b(/c)?)?'"):
        to_collection(dict.fromkeys(keys, 1))


@pytest.mark.parametrize("collection", [{}, {"value": {"x": np.ones(2)}}, {"value": np.ones(3)}, {"value": {}}])
def test_what_is_missing_is_named(collection):
    with pytest.raises(ValueError, match=r"test: .* at 'value', where the state has an array \(2,\).*attach"):
        from_collection(collection, State(np.ones(2)), "test")
