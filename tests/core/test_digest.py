"""Digests depend on what a tree holds, and not on the process."""

import hashlib

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np

from compressjax import tensors
from compressjax.core._digest import add_leaf, digest_of, digest_of_text


def fresh():
    """A function of one name at a new place in memory."""
    return lambda x: x


def test_every_part_of_a_tree_counts() -> None:
    tree = {"a": np.ones(2, np.float32), "key": jax.random.key(0), "n": 3, "text": "t"}
    others = [
        tree | {"a": np.ones(3, np.float32)}, tree | {"a": np.ones((1, 2), np.float32)}, tree | {"a": np.ones(2)},
        tree | {"a": np.ones(2, ml_dtypes.bfloat16)}, tree | {"a": np.zeros(2, np.float32)},
        tree | {"key": jax.random.key(1)}, tree | {"key": jax.random.key(0, impl="rbg")}, tree | {"n": 4},
        tree | {"n": 3.0}, tree | {"text": "3"}, {**tree, "b": None}, list(tree.values()),
    ]  # fmt: skip
    assert digest_of(tree) == digest_of({**tree, "a": jnp.ones(2)})
    assert len({digest_of(t) for t in (tree, *others)}) == len(others) + 1


def test_metadata_of_nodes_counts() -> None:
    nodes = [tensors.LowRank(np.ones((2, 2, 1)), np.ones((1, 2, 2)), inputs=2), tensors.LowRank(
        np.ones((2, 2, 1)), np.ones((1, 2, 2)), inputs=1)]  # fmt: skip
    assert digest_of(nodes[0]) != digest_of(nodes[1])


def test_places_in_memory_do_not_count() -> None:
    one, two = fresh(), fresh()
    assert str(one) != str(two)
    for make in (lambda f: {"fn": f}, jax.tree_util.Partial, lambda f: {"o": np.array([f], object)}):
        assert digest_of(make(one)) == digest_of(make(two))
    assert digest_of({"fn": one}) != digest_of({"fn": np.sum})
    assert digest_of_text(["at 0x7f01"]) == digest_of_text(["at 0x7faa"]) != digest_of_text(["at"])


def test_the_bytes_of_an_array_are_hashed() -> None:
    x = np.arange(6.0).reshape(2, 3).T  # not contiguous
    state = hashlib.sha256()
    add_leaf(state, x)
    assert state.hexdigest() == hashlib.sha256(b"('float64', (3, 2))" + np.ascontiguousarray(x).tobytes()).hexdigest()
