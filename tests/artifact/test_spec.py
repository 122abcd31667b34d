"""Specs of nodes: an explicit table, strict fields, and a count of what is not finite."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import core, tensors
from compressjax.artifact._spec import NODES, from_spec, nonfinite, to_spec
from compressjax.coding import ArtifactError, Bits
from tests.helpers import same_bits


def test_every_node_is_in_the_table():
    exported = {name: item for name, item in vars(tensors).items() if isinstance(item, type)}
    assert exported == NODES


def test_a_node_of_nodes_comes_back():
    grid = tensors.Quantized(jnp.ones((3, 2), jnp.int8), jnp.ones((1, 2)), bits=4, order=(1, 0), activation="dynamic")
    node = tensors.Sum((tensors.Masked(grid, jnp.ones((2, 3), bool)), jnp.zeros((2, 3))))
    again = from_spec(to_spec(node))
    assert jax.tree.structure(again) == jax.tree.structure(node)
    assert all(map(same_bits, jax.tree.leaves(again), jax.tree.leaves(node)))


@pytest.mark.parametrize("name", ["bfloat16", "float8_e4m3fn", "int4", "float16", "float32", "bool", "uint32"])
def test_arrays_keep_their_type(name):
    array = jnp.array([0, 1, 1], jnp.dtype(name))
    stored = to_spec(array)
    bits = Bits(name, stored.view(f"u{stored.itemsize}")) if stored.dtype.kind == "V" or name == "int4" else stored
    again = from_spec(bits)
    assert isinstance(again, jax.Array)
    assert same_bits(again, array)


def test_types_that_jax_would_narrow_stay_in_numpy():
    again = from_spec(to_spec(np.array([1e300, 2.0])))
    assert isinstance(again, np.ndarray)
    assert again.tolist() == [1e300, 2.0]


@pytest.mark.parametrize("leaf", ["text", object(), jax.ShapeDtypeStruct((2,), jnp.float32), lambda x: x])
def test_leaves_that_are_no_arrays_are_refused(leaf):
    with pytest.raises(ArtifactError, match="cannot be stored; give arrays"):
        to_spec(leaf)


def test_typed_keys_are_refused_with_the_remedy(key):
    with pytest.raises(ArtifactError, match=r"store jax\.random\.key_data"):
        to_spec(key)


def test_foreign_nodes_are_refused():
    @core.node
    class Masked(core.Node):
        """A node that only borrows a known name."""

        base: jax.Array = core.value()

    with pytest.raises(ArtifactError, match="node type 'Masked' cannot be stored"):
        to_spec(Masked(jnp.ones(2)))
    with pytest.raises(ArtifactError, match="unknown node type 'Path'"):
        from_spec({"node": "Path", "meta": {}, "fields": {}})
    with pytest.raises(ArtifactError, match="not what this version knows"):
        from_spec({"node": "Masked", "meta": {"evil": 1}, "fields": {}})
    with pytest.raises(ArtifactError, match="cannot be built"):
        from_spec({"node": "Masked", "meta": {}, "fields": {"mask": np.ones(2, bool)}})


def test_only_what_is_stored_is_counted():
    bad = np.array([1, np.nan, np.inf, -np.inf], np.float32)
    kept = np.array([True, True, False, False])
    assert nonfinite(to_spec(bad)) == 3
    assert nonfinite(to_spec(tensors.Masked(bad, kept))) == 1
    assert nonfinite(to_spec(tensors.Masked(tensors.Sum((bad, bad)), kept))) == 2
    assert nonfinite(to_spec(tensors.Codebook(bad, np.zeros(9, np.uint8)))) == 3
    assert nonfinite(to_spec(tensors.Quantized(np.ones((1, 1), np.int8), np.full((1, 1), np.nan)))) == 1
    assert nonfinite(to_spec(np.arange(3))) == 0
    assert nonfinite(to_spec(jnp.array([1, jnp.nan], jnp.bfloat16))) == 1
