"""Save and load: bit-exact, strict, and with sizes that are the file's."""

import json
import os
from collections import OrderedDict

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compressjax import artifact, coding, core, tensors
from compressjax.artifact import ArtifactError
from tests.helpers import brute_bits, difference


@st.composite
def leaf(draw, depth: int = 2):
    """A node or array of shape (4, 6), with hidden entries already zero as `load` returns them."""
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    kind = draw(st.sampled_from(["array", "codebook", "quantized", "masked", "low", "sum"] if depth else ["array"]))
    dtype = draw(st.sampled_from([jnp.float32, jnp.bfloat16, jnp.float16]))
    array = jnp.asarray(rng.normal(size=(4, 6)), dtype)
    if kind == "codebook":
        codes = jnp.asarray(rng.integers(0, 5, (4, 6)), jnp.uint8)
        return tensors.Codebook(jnp.asarray(rng.normal(size=5), dtype), codes)
    if kind == "quantized":
        order = draw(st.sampled_from([(), (1, 0)]))
        codes = jnp.asarray(rng.integers(-7, 8, (6, 4) if order else (4, 6)), jnp.int8)
        return tensors.Quantized(codes, jnp.asarray(rng.random((2, 6)), jnp.float32), bits=4, order=order)
    if kind == "masked":
        kept = jnp.asarray(rng.random((4, 6)) < 0.5)
        codes = jnp.where(kept, jnp.asarray(rng.integers(1, 5, (4, 6)), jnp.uint8), jnp.uint8(0))
        inner = draw(
            st.sampled_from([jnp.where(kept, array, jnp.zeros((), dtype)), tensors.Codebook(jnp.arange(5.0), codes)])
        )
        return tensors.Masked(inner, kept)
    if kind == "low":
        return tensors.LowRank(jnp.asarray(rng.normal(size=(4, 2)), dtype), jnp.asarray(rng.normal(size=(2, 6)), dtype))
    return tensors.Sum((draw(leaf(depth - 1)), array)) if kind == "sum" else array


@given(st.dictionaries(st.sampled_from("abcd"), leaf() | st.lists(leaf(1), max_size=2), max_size=3))
def test_trees_come_back_bit_for_bit(tmp_path_factory, tree):
    path = tmp_path_factory.mktemp("artifact") / "model.cjx"
    manifest = artifact.save(path, tree, metadata={"seed": 1})
    again = artifact.load(path)
    assert difference(again.tree, tree) == ""
    assert again.program is None
    assert again.manifest.metadata["seed"] == 1
    assert manifest.ledger.file_bytes == os.path.getsize(path) == artifact.verify(path).file_bytes
    packed = {name: -(-brute_bits(item) // 8) for name, item in core.nodes(tree).items()}
    assert {row.path: row.packed_bytes for row in manifest.ledger.leaves} == packed
    shapes = {name: tuple(item.shape) for name, item in core.nodes(tree).items()}
    assert {row.path: row.shape for row in manifest.ledger.leaves} == shapes


def test_hidden_entries_come_back_as_zero(tmp_path):
    path = tmp_path / "model.cjx"
    node = tensors.Masked(jnp.array([1.0, jnp.nan, 3.0]), jnp.array([True, False, True]))
    artifact.save(path, {"w": node})  # what the mask hides need not be finite
    assert artifact.load(path).tree["w"].value.tolist() == [1.0, 0.0, 3.0]
    np.testing.assert_array_equal(artifact.load(path).tree["w"].materialize(), node.materialize())


def test_every_bit_survives_when_allowed(tmp_path):
    path = tmp_path / "model.cjx"
    tree = {"w": jnp.array([-0.0, jnp.nan, -jnp.inf, 1e-42]), "d": np.array([1 / 3, 5e-324]), "n": np.int64(2**40)}
    artifact.save(path, tree, allow_nonfinite=True)
    assert difference(artifact.load(path).tree, tree) == ""


def test_weights_that_are_not_finite_are_refused_by_name(tmp_path):
    path = tmp_path / "model.cjx"
    tree = {"a": {"kernel": jnp.array([1.0, jnp.nan, jnp.inf])}}
    with pytest.raises(ValueError, match=r"leaf 'a/kernel' has 2 entries .*infinite or NaN.*allow_nonfinite=True"):
        artifact.save(path, tree)
    assert not path.exists()


def test_what_cannot_be_stored_is_named(tmp_path):
    path = tmp_path / "model.cjx"
    with pytest.raises(ArtifactError, match="leaf 'a': a str cannot be stored"):
        artifact.save(path, {"a": "text"})
    with pytest.raises(ArtifactError, match="metadata may not have a key 'tree'"):
        artifact.save(path, {}, metadata={"tree": 1})
    with pytest.raises(ArtifactError, match="metadata is not JSON"):
        artifact.save(path, {}, metadata={"loss": float("nan")})
    assert not path.exists()


def test_metadata_holds_versions(tmp_path):
    path = tmp_path / "model.cjx"
    artifact.save(path, {}, metadata={"recipe": {"name": "digits"}, "versions": {"data": "3"}})
    metadata = artifact.inspect(path).metadata
    assert metadata["versions"]["jax"] == jax.__version__
    assert metadata["versions"]["data"] == "3"
    assert metadata["recipe"] == {"name": "digits"}
    assert "tree" not in metadata
    assert artifact.load(path).manifest.metadata == metadata
    json.dumps(metadata)


def test_verify_counts_what_it_decoded(tmp_path):
    path = tmp_path / "model.cjx"
    codebook = tensors.Codebook(jnp.arange(3.0), jnp.zeros((2, 2), jnp.uint8))
    artifact.save(path, {"a": codebook, "b": [jnp.ones(3), 4.0]})
    report = artifact.verify(path)
    assert (report.leaves, report.nodes) == (3, 1)
    assert report.ledger == artifact.inspect(path).ledger


def test_files_without_a_tree_or_of_unknown_nodes_are_refused(tmp_path):
    path = tmp_path / "model.cjx"
    coding.write(path, {"w": np.ones(2)})
    with pytest.raises(ArtifactError, match="fewer places"):
        artifact.load(path)
    coding.write(path, {"w": {"node": "Fractal", "meta": {}, "fields": {}}}, metadata={"tree": {"d": [["w", 1]]}})
    with pytest.raises(artifact.UnknownNode, match=r"model\.cjx: leaf 'w': unknown node type 'Fractal'"):
        artifact.load(path)


def test_altered_files_are_refused_in_every_reader(tmp_path):
    path = tmp_path / "model.cjx"
    artifact.save(path, {"w": jnp.arange(50)})
    data = path.read_bytes()
    rng = np.random.default_rng(0)
    for at in rng.integers(0, len(data), 40):
        path.write_bytes(data[:at] + bytes([data[at] ^ 64]) + data[at + 1 :])
        for reader in (artifact.load, artifact.inspect, artifact.verify):
            with pytest.raises(ArtifactError, match=r"model\.cjx"):
                reader(path)


def test_max_bytes_is_passed_on(tmp_path):
    path = tmp_path / "model.cjx"
    artifact.save(path, {"w": jnp.zeros(1000)})
    with pytest.raises(ArtifactError, match="max_bytes=3999"):
        artifact.load(path, max_bytes=3999)
    assert artifact.load(path, max_bytes=4000).tree["w"].shape == (1000,)


def test_one_array_at_two_places_is_stored_once_and_stays_one(tmp_path):
    path, rng = tmp_path / "model.cjx", np.random.default_rng(0)
    table = jnp.asarray(rng.normal(size=(40, 30)), jnp.float32)
    node = tensors.LowRank(table[:, :2], table[:2])
    alone = artifact.save(path, {"embed": table, "low": node})
    tied = artifact.save(path, {"embed": table, "head": {"out": table}, "low": node, "more": [node]})
    assert (alone.format, tied.format) == (1, 2)
    assert tied.ledger.file_bytes < alone.ledger.file_bytes + 100
    assert tied.ledger.file_bytes == os.path.getsize(path)
    back = artifact.load(path).tree
    assert back["embed"] is back["head"]["out"]
    assert back["low"] is back["more"][0]
    assert difference(back["low"], node) == ""
    equal = artifact.save(path, {"a": jnp.ones(3), "b": jnp.ones(3), "c": None, "d": None})
    assert equal.format == 1


def test_mappings_keep_the_order_of_jax(tmp_path):
    path = tmp_path / "model.cjx"
    tree = OrderedDict(stem=jnp.ones(1), body={"z": jnp.ones(2), "a": jnp.ones(3)}, head=OrderedDict(b=1, a=2))
    assert artifact.save(path, tree).format == 2
    back = artifact.load(path).tree
    assert jax.tree.structure(back) == jax.tree.structure(tree)
    assert [x.shape for x in jax.tree.leaves(back)] == [np.shape(x) for x in jax.tree.leaves(tree)]
    assert artifact.save(path, OrderedDict(a=1, b=2)).format == 1  # sorted is what version 1 says


def test_save_refuses_what_load_would(tmp_path):
    path, deep, terms = tmp_path / "model.cjx", jnp.ones(1), jnp.ones((2, 2))
    for _ in range(201):
        deep = [deep]
    for _ in range(40):
        terms = tensors.Sum((terms,))
    for tree, reason in (
        ({"x": np.ones((1,) * 33)}, "leaf 'x': an array has 33 axes.*reshape"),
        (deep, "nested deeper than 200"),
        ({"s": terms}, "leaf 's': nodes and tuples are nested deeper than 32"),
        ({"n" * 70000: 1}, "longer than 65536 characters"),
    ):
        with pytest.raises(ArtifactError, match=reason):
            artifact.save(path, tree)
        assert not path.exists()
    artifact.save(path, deep[0])
    assert artifact.load(path).tree == deep[0]


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ({"value": np.ones((3, 1), np.float32)}, "its mask has shape"),
        ({"value": {"node": "Codebook", "fields": {"centroids": np.ones(2), "codes": np.full(3, 2)}}}, "span 2 to 2"),
        ({"more": np.ones(3)}, "unknown"),
    ],
)
def test_nodes_that_do_not_fit_are_refused_by_every_reader(tmp_path, field, wrong):
    path = tmp_path / "model.cjx"
    fields = {"mask": np.ones(3, bool), "value": np.ones(3, np.float32)} | field
    coding.write(path, {"w": {"node": "Masked", "fields": fields}}, metadata={"tree": {"d": [["w", 1]]}})
    for reader in (artifact.load, artifact.verify, coding.read):
        with pytest.raises(ArtifactError, match=f"leaf 'w': the fields of a .* do not fit together.*{wrong}"):
            reader(path)


def test_single_leaves_are_those_of_the_tree(tmp_path):
    book = tensors.Codebook(jnp.array([0.5, 2.0]), jnp.array([[1, 0, 1]], jnp.uint8))
    tree = {"layer": {"kernel": book, "bias": jnp.arange(3.0)}}
    artifact.save(tmp_path / "m.cjx", tree)
    found = artifact.leaves(tmp_path / "m.cjx")
    assert list(found) == ["layer/bias", "layer/kernel"]
    assert isinstance(found["layer/kernel"], tensors.Codebook)
    assert not difference(found["layer/kernel"].materialize(), book.materialize())
