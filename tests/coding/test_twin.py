"""Node types from outside: gating and shapes travel in the file, so reader and writer agree without a decoder."""

import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from compressjax import coding
from compressjax.coding import ArtifactError, _twin
from compressjax.coding._bits import Reader
from compressjax.coding._leaf import decode, encode
from compressjax.coding._ledger import dense_shape
from compressjax.coding._limits import Budget
from tests.coding.samples import same, spec, weights

NAME = "lab.nodes:Flipped"
KEPT = np.arange(12).reshape(3, 4) % 3 == 0


@pytest.fixture(autouse=True)
def no_leftovers(monkeypatch):
    _twin.find("Masked")  # compressjax registers its own once, at the first look-up
    monkeypatch.setattr(_twin, "_TWINS", {key: twin for key, twin in _twin._TWINS.items() if ":" not in key})


def flip():
    """A node with transposed entries, masked where its own `kept` is False."""
    coding.register(
        NAME,
        dense=lambda fields, meta: np.where(fields["kept"], fields["base"], 0).T * meta["factor"] + fields["bias"],
        entrywise=("base", "kept"), mask="kept", axes=lambda meta, ndim: tuple(range(ndim))[::-1],
    )  # fmt: skip


def flipped():
    fields = {"base": weights(0, 4, 3), "bias": weights(1, 4), "kept": np.arange(12).reshape(4, 3) % 2 == 0}
    return spec(NAME, fields, factor=2) | {"shape": (3, 4)}


def masked(value):
    return spec("Masked", {"value": value, "mask": KEPT})


def roundtrip(item):
    structure, payload = encode(item)
    return structure, decode(json.loads(json.dumps(structure)), Reader(payload), Budget(2**20))


@pytest.mark.parametrize("reads_with_twin", [True, False])
def test_what_a_decoder_gates_comes_back_without_it(reads_with_twin):
    flip()
    item = masked(flipped())
    structure, payload = encode(item)
    dense = coding.materialize(item)
    if not reads_with_twin:
        del _twin._TWINS[NAME]
    back = decode(json.loads(json.dumps(structure)), Reader(payload), Budget(2**20))
    inner, asked = back["fields"]["value"], item["fields"]["value"]
    both = asked["fields"]["kept"] & KEPT.T
    assert inner["shape"] == (3, 4)
    assert inner["fields"]["kept"].tolist() == both.tolist()
    assert inner["fields"]["base"].tolist() == np.where(both, asked["fields"]["base"], 0).tolist()
    assert same(inner["fields"]["bias"], asked["fields"]["bias"])
    assert structure["f"]["value"]["f"]["base"][4] == 1
    flip()
    assert coding.materialize(back).tolist() == dense.tolist()


def test_without_a_decoder_nothing_is_left_out():
    item = masked(flipped())
    structure, back = roundtrip(item)
    assert "g" not in structure["f"]["value"]
    assert same(back, item)
    flip()
    _, again = roundtrip(masked(flipped()))
    assert not same(again, item)


def test_unknown_types_still_have_a_shape():
    assert dense_shape(encode(flipped())[0]) == (3, 4)
    assert dense_shape(encode(spec("LowRank", {"left": flipped(), "right": weights(0, 4, 7)}))[0]) == (3, 7)
    bare = spec(NAME, {"base": weights(0, 4, 3)}, factor=2)
    assert dense_shape(encode(bare)[0]) is None
    assert dense_shape(encode(spec("Masked", {"value": bare, "mask": KEPT}))[0]) == (3, 4)
    coding.register(NAME, dense=lambda fields, meta: fields["base"].T, shape=lambda shapes, meta: shapes["base"][::-1])
    assert dense_shape(encode(bare)[0]) == (3, 4)


def test_decoders_and_files_that_lie_are_refused():
    coding.register(NAME, dense=lambda fields, meta: fields["base"])
    with pytest.raises(ArtifactError, match=r"decoder of lab\.nodes:Flipped gives shape \(4, 3\).*say \(3, 4\)"):
        coding.materialize(flipped())
    with pytest.raises(ArtifactError, match="needs 48 bytes, above max_bytes=40"):
        coding.materialize(flipped(), max_bytes=40)
    flip()
    with pytest.raises(ArtifactError, match="field 'kept' must be a Boolean array, because 'base'"):
        encode(spec(NAME, {"base": weights(0, 4, 3), "kept": np.ones((4, 3))}))
    coding.register(
        NAME, dense=lambda fields, meta: fields["base"], entrywise=("base",), axes=lambda meta, ndim: (0, 0)
    )
    with pytest.raises(ArtifactError, match=r"\(0, 0\) does not permute the 2 axes"):
        encode(masked(flipped()))
    structure, payload = encode(flipped())
    for gating in (3, ["base"], [["base"], [0, 1], None], [["base"], None, 3], [["base"], {}, None]):
        with pytest.raises(ArtifactError, match="unknown gating|metadata of a node"):
            decode(structure | {"g": gating}, Reader(payload), Budget(2**20))


def test_bare_names_belong_to_compressjax():
    with pytest.raises(ValueError, match="'Masked' is a bare name.*use 'module:QualName'"):
        coding.register("Masked", dense=lambda fields, meta: fields["value"])


def test_a_decoder_needs_no_jax_and_no_class(tmp_path):
    flip()
    item = masked(flipped())
    coding.write(tmp_path / "w.cjx", {"w": item})
    (tmp_path / "lab_decoders.py").write_text(
        "import numpy as np\nfrom compressjax import coding\n"
        f"coding.register({NAME!r}, dense=lambda f, meta: np.where(f['kept'], f['base'], 0).T * 2 + f['bias'])\n"
    )
    program = f"""
import sys
folder = {str(tmp_path)!r}
sys.modules["jax"] = None  # any import of it fails
from compressjax import coding
spec = coding.read(folder + "/w.cjx").leaves["w"]
print(coding.inspect(folder + "/w.cjx").ledger.leaves[0].nodes)
try:
    coding.materialize(spec)
except coding.UnknownNode as error:
    print(error)
sys.path.insert(0, folder)
import lab_decoders
print(coding.materialize(spec).tolist())
"""
    root = pathlib.Path(coding.__file__).parents[2]
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=root)
    chain, error, dense = found.stdout.splitlines()
    assert chain == f"Masked({NAME})"
    assert NAME in error
    assert json.loads(dense) == coding.materialize(item).tolist()
