"""Specs of nodes: registered classes only, strict fields, and a count of what is not finite."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import core, tensors
from compressjax.artifact._spec import from_spec, nonfinite, to_spec
from compressjax.coding import ArtifactError, Bits, UnknownNode
from compressjax.coding._bits import Reader
from compressjax.coding._leaf import Budget, decode, encode
from tests.helpers import same_bits


def test_a_node_of_nodes_comes_back():
    grid = tensors.Quantized(jnp.ones((3, 2), jnp.int8), jnp.ones((1, 2)), bits=4, order=(1, 0), activation="dynamic")
    node = tensors.Sum((tensors.Masked(grid, jnp.ones((2, 3), bool)), jnp.zeros((2, 3))))
    again = from_spec(to_spec(node))
    assert jax.tree.structure(again) == jax.tree.structure(node)
    assert all(map(same_bits, jax.tree.leaves(again), jax.tree.leaves(node)))


def test_metadata_that_came_later_is_written_where_it_differs():
    plain = tensors.Quantized(jnp.ones((2, 2), jnp.int8), jnp.ones((1, 1)))
    assert "table" not in to_spec(plain)["meta"]
    looked = plain.replace(codes=jnp.ones((2, 2), jnp.uint8), table="nf4")
    assert to_spec(looked)["meta"]["table"] == from_spec(to_spec(looked)).table == "nf4"
    assert from_spec(to_spec(plain)).table is None


@pytest.mark.parametrize(
    "name",
    ["bfloat16", "float8_e4m3fn", "float4_e2m1fn", "float8_e8m0fnu", "int4", "float16", "float32", "bool", "uint32"],
)
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


@pytest.mark.parametrize("impl", ["threefry2x32", "rbg", "unsafe_rbg"])
def test_typed_keys_come_back_as_keys(impl):
    keys = jax.random.split(jax.random.key(3, impl=impl), 2)
    back = from_spec(to_spec(keys))
    assert back.dtype == keys.dtype
    assert jax.random.key_data(back).tolist() == jax.random.key_data(keys).tolist()
    assert from_spec(to_spec(keys[0])).shape == ()
    with pytest.raises(ArtifactError, match=r"implementation 'xor' cannot be made.*install the JAX"):
        from_spec(to_spec(keys) | {"meta": {"impl": "xor"}})


@core.node
class Labeled(core.Node):
    """A node of another package, with any metadata."""

    base: jax.Array = core.value(aligned=True)
    label: object = core.meta(default=None)

    @property
    def shape(self):
        return self.base.shape


@pytest.mark.parametrize("label", [None, True, 3, -0.1, "a", (), (1, ("b", None, (2.5,)))])
def test_metadata_comes_back_as_it_was(label):
    spec = to_spec(Labeled(jnp.ones(2), label))
    assert spec["node"] == f"{__name__}:Labeled"
    structure, payload = encode(spec)
    again = from_spec(decode(json.loads(json.dumps(structure)), Reader(payload), Budget(99)))
    assert type(again) is Labeled
    assert repr(again.label) == repr(label)


@pytest.mark.parametrize("label", [float("nan"), np.int64(3), [1], {"a": 1}, (1, b"x"), jnp.float32])
def test_metadata_that_json_would_change_is_refused_by_name(label):
    with pytest.raises(ArtifactError, match="metadata 'label' of a Labeled is .*files hold finite numbers"):
        to_spec(Labeled(jnp.ones(2), label))


def test_unknown_nodes_are_refused_with_the_remedy():
    class Undeclared(Labeled):
        """Lacks the decorator, so its name is that of its base."""

    with pytest.raises(ArtifactError, match="Undeclared is not the class that is registered as .*Labeled"):
        to_spec(Undeclared(jnp.ones(2)))
    with pytest.raises(UnknownNode, match="unknown node type 'Path'; install the compressjax that wrote"):
        from_spec({"node": "Path", "meta": {}, "fields": {}})
    with pytest.raises(UnknownNode, match="'mylab.nodes:Ternary'; import mylab.nodes, which defines it, before"):
        from_spec({"node": "mylab.nodes:Ternary", "meta": {}, "fields": {}})
    with pytest.raises(UnknownNode, match="'json:Ternary'; json is loaded but declares no Ternary"):
        from_spec({"node": "json:Ternary", "meta": {}, "fields": {}})
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
