"""Paths and the verbs on trees: in every container that Flax and plain JAX put parameters in."""

from typing import Any, NamedTuple

import flax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen, nnx

from compressjax import core, tensors
from compressjax.core._tree import is_value
from tests import helpers


class Layer(NamedTuple):
    kernel: Any
    bias: Any


ONE = jnp.ones((2, 3))
TWO = jnp.zeros(3)
NESTED = tensors.Sum(
    (
        tensors.LowRank(tensors.Masked(jnp.ones((4, 2)), jnp.ones((4, 2), bool)), jnp.ones((2, 3))),
        tensors.Masked(tensors.Codebook(jnp.ones(2), jnp.zeros((4, 3), jnp.uint8)), jnp.ones((4, 3), bool)),
        tensors.Quantized(jnp.zeros((4, 3), jnp.int8), jnp.ones((1, 1))),
    )
)


@pytest.mark.parametrize(
    ("tree", "paths"),
    [
        ({"a": {"kernel": ONE}, "b": TWO}, ["a/kernel", "b"]),
        ([ONE, {"x": TWO}], ["0", "1/x"]),
        ((ONE, (TWO,)), ["0", "1/0"]),
        (Layer(ONE, TWO), ["kernel", "bias"]),
        ({"d": [Layer(ONE, TWO)]}, ["d/0/kernel", "d/0/bias"]),
        (flax.core.freeze({"a": {"kernel": ONE}}), ["a/kernel"]),
        ({0: ONE, 1: {2: TWO}}, ["0", "1/2"]),
        (ONE, [""]),
        ({"a": None, "b": ()}, []),
    ],
)
def test_paths_of_containers(tree: Any, paths: list[str]) -> None:
    assert list(core.values(tree)) == paths
    assert list(core.nodes(tree)) == paths
    doubled = core.with_values(tree, {path: 2 * x for path, x in core.values(tree).items()})
    assert helpers.difference(doubled, jax.tree.map(lambda x: 2 * x, tree)) == ""


def test_paths_of_linen() -> None:
    model = linen.Sequential([linen.Dense(3), linen.Conv(4, (3,)), linen.BatchNorm(use_running_average=True)])
    tree = model.init(jax.random.key(0), jnp.ones((1, 5, 2)))
    found = core.values(tree)
    assert "params/layers_0/kernel" in found
    assert "params/layers_1/bias" in found
    assert "batch_stats/layers_2/mean" in found


class Net(nnx.Module):
    def __init__(self, rngs: nnx.Rngs):
        self.first = nnx.Linear(2, 3, rngs=rngs)
        self.rest = nnx.List([nnx.Linear(3, 3, rngs=rngs), nnx.BatchNorm(3, rngs=rngs)])
        self.drop = nnx.Dropout(0.5, rngs=rngs)


@pytest.mark.parametrize("pure", [False, True])
def test_paths_of_nnx(pure: bool) -> None:
    _, state = nnx.split(Net(nnx.Rngs(0)))
    tree = nnx.to_pure_dict(state) if pure else state
    found = core.values(tree)
    assert set(found) == {
        "first/kernel", "first/bias", "rest/0/kernel", "rest/0/bias", "rest/1/scale", "rest/1/bias", "rest/1/mean",
        "rest/1/var",
    }  # fmt: skip
    doubled = core.map_values(lambda path, x: x * 2, tree)
    np.testing.assert_array_equal(core.values(doubled)["rest/1/scale"], 2 * np.ones(3))
    assert jax.tree.structure(doubled) == jax.tree.structure(tree)


def test_nnx_module_runs_on_replaced_values() -> None:
    """What comes back from with_values merges into a module again."""
    graph, state = nnx.split(nnx.Linear(2, 3, rngs=nnx.Rngs(0)))
    zeros = core.with_values(state, {path: jnp.zeros_like(x) for path, x in core.values(state).items()})
    np.testing.assert_array_equal(nnx.merge(graph, zeros)(jnp.ones((1, 2))), np.zeros((1, 3)))


def test_only_floating_arrays_are_values() -> None:
    tree = {"step": jnp.zeros((2, 2), int), "key": jax.random.key(0), "flag": jnp.zeros(3, bool), "n": 3, "f": 1.0}
    assert core.values(tree) == {}
    assert core.map_values(lambda path, x: x / 0, tree) == tree
    for dtype in helpers.FLOATS:
        assert is_value(jnp.zeros(1, dtype))
        assert is_value(np.zeros(1, jnp.dtype(dtype)))
        assert is_value(jax.ShapeDtypeStruct((1,), dtype))
    assert not is_value(jnp.zeros(1, jnp.complex64))


def test_storage_counts_every_leaf() -> None:
    tree = {"w": NESTED, "step": jnp.zeros((2, 2), jnp.int32), "key": jax.random.key(0), "n": 3, "x": ONE}
    key_bits = 8 * jax.random.key_data(tree["key"]).nbytes
    assert core.storage(tree) == {"w": helpers.brute_bits(NESTED), "step": 128, "key": key_bits, "x": 192}


def test_nested_paths() -> None:
    """Aligned fields keep the path of the dense tensor, all others append their name, terms are numbered."""
    expected = ["w/terms/0/left", "w/terms/0/right", "w/terms/1/centroids"]
    assert list(core.values({"w": NESTED})) == expected
    assert list(core.values(NESTED)) == [path.removeprefix("w/") for path in expected]
    assert list(core.nodes({"w": NESTED})) == ["w"]


def test_with_values_puts_nodes_inside_nodes() -> None:
    grid = tensors.Quantized(jnp.ones((2, 3), jnp.int8), jnp.full((1, 1), 2.0))
    tree = core.with_values({"w": NESTED}, {"w/terms/0/right": grid})
    assert tree["w"].terms[0].right is grid
    assert list(core.values(tree)) == ["w/terms/0/left", "w/terms/1/centroids"]
    # ones [4, 2] times twos [2, 3], a codebook of ones, a grid of zeros
    np.testing.assert_array_equal(core.materialize(tree)["w"], np.full((4, 3), 5.0))
    masked = core.with_values({"w": tensors.Masked(ONE, ONE > 0)}, {"w": grid})
    assert isinstance(masked["w"], tensors.Masked)
    assert masked["w"].value is grid


def test_with_values_refuses_unknown_paths() -> None:
    with pytest.raises(ValueError, match=r"no value at \['b', 'w'\]; the tree has \['w/terms/0/left'"):
        core.with_values({"w": NESTED}, {"w": ONE, "b": ONE, "w/terms/0/left": ONE})


def test_two_values_with_one_path_are_refused() -> None:
    with pytest.raises(ValueError, match="two values share the path 'a/b'"):
        core.values({"a": {"b": ONE}, "a/b": TWO})


def test_materialize_leaves_the_rest_alone() -> None:
    tree = {"w": NESTED, "x": ONE, "n": 3, "key": jax.random.key(0)}
    dense = core.materialize(tree)
    assert dense["x"] is ONE
    assert dense["n"] == 3
    assert dense["key"] is tree["key"]
    np.testing.assert_array_equal(dense["w"], helpers.brute(NESTED))


def test_verbs_work_on_abstract_trees() -> None:
    tree = jax.eval_shape(lambda t: t, {"w": NESTED, "x": ONE})
    assert {path: leaf.shape for path, leaf in core.values(tree).items()} == {
        "w/terms/0/left": (4, 2), "w/terms/0/right": (2, 3), "w/terms/1/centroids": (2,), "x": (2, 3)
    }  # fmt: skip
    assert jax.eval_shape(core.materialize, tree)["w"].shape == (4, 3)
