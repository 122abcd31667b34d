"""A node and methods from outside the package are judged by the laws, lifted, explained, saved, loaded and decoded."""

import json
import sys

import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import artifact, coding, core, interpret, tensors, testing
from compressjax.coding import _twin
from compressjax.core import _node
from tests.helpers import array, difference
from tests.outside import toy


@pytest.fixture
def tree():
    return {"a": {"kernel": toy.ternary(array(0, (8, 6))), "bias": jnp.arange(6.0)}}


def layer(params, x):
    return x @ params["a"]["kernel"] + params["a"]["bias"][None]


def test_it_keeps_the_laws():
    half = toy.ternary(array(1, (4, 6), "bfloat16"))
    masked = tensors.Masked(half, jnp.asarray(np.arange(24).reshape(4, 6) % 3 > 0))
    assert testing.check_node(half, masked) == ("shape", "lifted", "sharded", "size", "lossless", "decoded")


@pytest.mark.thorough
def test_its_methods_keep_the_laws():
    held = testing.check_method(toy.rising, neutral=lambda: toy.rising(0.0))
    assert held == (
        "shape", "view", "projection", "size", "lossless", "decoded", "selection", "stability", "zero limit",
        "composition",
    )  # fmt: skip
    # Rounded again, the mean is another.
    assert "decoded" in testing.check_method(toy.ternarize, projection=None)
    with pytest.raises(testing.Broken, match="projection: first/kernel is off by"):
        testing.check_method(toy.ternarize)


def test_it_runs_natively_and_says_so(tree):
    x = array(3, (5, 8))
    assert [(row.path, row.status) for row in interpret.explain(layer)(tree, x)] == [("a/kernel", "native")]
    np.testing.assert_allclose(interpret.lift(layer)(tree, x), layer(core.materialize(tree), x), rtol=1e-5, atol=1e-5)


def test_it_is_saved_loaded_verified_and_decoded(tree, tmp_path):
    path = tmp_path / "toy.cjx"
    ledger = artifact.save(path, tree).ledger
    assert difference(artifact.load(path).tree, tree) == ""
    assert artifact.verify(path).nodes == 1
    row = next(row for row in ledger.leaves if row.path == "a/kernel")
    assert (row.nodes, row.shape, row.float32_bytes) == ("tests.outside.toy:Ternary", (8, 6), 192)
    decoded = coding.materialize(coding.read(path).leaves["a/kernel"])
    np.testing.assert_array_equal(decoded, tree["a"]["kernel"].materialize())


def test_a_file_of_an_unknown_node_names_the_import(tree, tmp_path, monkeypatch):
    path = tmp_path / "toy.cjx"
    ledger = artifact.save(path, tree).ledger
    monkeypatch.delitem(_node._TYPES, toy.Ternary.type_name)
    monkeypatch.delitem(sys.modules, toy.__name__)
    wanted = (
        r"leaf 'a/kernel': unknown node type 'tests\.outside\.toy:Ternary'; import tests\.outside\.toy, which defines"
    )
    for reader in (artifact.load, artifact.verify):
        with pytest.raises(artifact.UnknownNode, match=wanted):
            reader(path)
    assert artifact.inspect(path).ledger == ledger
    json.dumps(ledger.as_json())
    with pytest.raises(artifact.ArtifactError, match="Ternary is not the class that is registered"):
        artifact.save(path, tree)


def test_the_laws_find_a_wrong_decoder(monkeypatch):
    name = toy.Ternary.type_name
    wrong = _twin.find(name)._replace(dense=lambda fields, meta: 1.01 * fields["scale"] * fields["signs"])
    monkeypatch.setitem(_twin._TWINS, name, wrong)
    with pytest.raises(testing.Broken, match="decoded: NumPy decodes layer/kernel to other entries"):
        testing.check_node(toy.ternary(array(0, (4, 6))))
    monkeypatch.delitem(_twin._TWINS, name)
    assert "decoded" not in testing.check_node(toy.ternary(array(0, (4, 6))))
