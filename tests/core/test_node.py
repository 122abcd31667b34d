"""Node roles, registration, and sizes of plain arrays."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import core, tensors
from compressjax.core._node import node_types


@core.node
class Scaled(core.Node):
    base: jax.Array = core.value()
    factor: jax.Array = core.buffer()
    name: str = core.meta(default="x")


def test_children_are_values_and_frames() -> None:
    node = Scaled(jnp.ones(2), jnp.zeros(1), "y")
    assert node.roles == {"base": "value", "factor": "buffer", "name": "meta"}
    paths = [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_flatten_with_path(node)[0]]
    assert paths == [".base", ".factor"]
    assert jax.tree.map(lambda x: x + 1, node).name == "y"


def test_nodes_are_frozen_and_compare_by_identity() -> None:
    node = Scaled(jnp.ones(2), jnp.zeros(1))
    with pytest.raises(dataclasses.FrozenInstanceError):
        node.base = jnp.zeros(2)
    assert node == node
    assert node != Scaled(node.base, node.factor)


def test_meta_is_static() -> None:
    """Nodes of another meta are other structures: jit traces again, and never confuses the two."""
    traces = []

    @jax.jit
    def double(node: Scaled) -> jax.Array:
        traces.append(node.name)
        return 2 * node.base

    for name in ("a", "a", "b", "a"):
        double(Scaled(jnp.ones(2), jnp.zeros(1), name))
    assert traces == ["a", "b"]


def test_a_field_without_a_role_is_refused() -> None:
    with pytest.raises(ValueError, match=r"Bare: fields \['loose'\] have no role"):

        @core.node
        class Bare(core.Node):
            kept: int = core.meta()
            loose: int = 3


@pytest.mark.parametrize("what", ["shape", "dtype", "materialize", "size_bits"])
def test_an_unfinished_node_says_what_is_missing(what: str) -> None:
    node = Scaled(jnp.ones(2), jnp.zeros(1))
    with pytest.raises(TypeError, match=f"Scaled must define {what}"):
        getattr(node, what)()
    assert node.stacked() is None


@pytest.mark.parametrize(
    ("dtype", "width"), [("float32", 32), ("bfloat16", 16), ("int8", 8), ("bool", 1), ("uint8", 8), ("float16", 16)]
)
def test_bits_of_arrays(dtype: str, width: int) -> None:
    x = jnp.zeros((3, 5), dtype)
    assert core.entry_bits(x) == 15 * width
    assert core.entry_bits(np.asarray(x)) == 15 * width
    assert core.entry_bits(jax.ShapeDtypeStruct(x.shape, x.dtype)) == 15 * width
    assert core.entry_bits(x, kept=4) == 4 * width
    assert core.entry_bits(x, kept=0) == 0


def test_dense_of_an_array_is_itself() -> None:
    x = jnp.ones(3)
    assert core.dense(x) is x
    assert isinstance(core.dense(np.ones(3)), jax.Array)
    assert core.is_node(Scaled(x, x))
    assert not core.is_node(x)


def test_types_are_registered_by_name_and_the_last_of_a_name_counts() -> None:
    def cell(default: int) -> type[core.Node]:
        @core.node
        class Again(core.Node):
            base: jax.Array = core.value()
            factor: int = core.meta(default=default)

        return Again

    first, second = cell(1), cell(2)
    assert node_types()[f"{__name__}:Scaled"] is Scaled
    assert first.type_name == second.type_name == f"{__name__}:{second.__qualname__}"
    assert node_types()[second.type_name] is second
    assert node_types()["Masked"] is tensors.Masked
