"""Leaves: round trips of nested nodes, and masks over entry-wise fields."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compressjax.coding import ArtifactError, Bits
from compressjax.coding._bits import Reader
from compressjax.coding._leaf import decode, encode, stored
from compressjax.coding._limits import Budget
from tests.coding.samples import leaves, mask, same, shared, weights


def roundtrip(spec):
    structure, payload = encode(spec)
    return decode(json.loads(json.dumps(structure)), Reader(payload), Budget(2**24))


def masked(value, kept):
    return {"node": "Masked", "meta": {}, "fields": {"value": value, "mask": kept}}


ARRAYS = st.integers(0, 99).map(lambda seed: weights(seed, 6, 4))
KEPT = st.integers(0, 99).map(lambda seed: np.random.default_rng(seed).random((6, 4)) < 0.5)


@st.composite
def specs(draw, depth: int = 3):
    """Nests of every node type, all of the dense shape (6, 4)."""
    kind = draw(st.sampled_from(["array", "Masked", "Codebook", "Quantized", "LowRank", "Sum"] if depth else ["array"]))
    inner = specs(depth=depth - 1)
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    if kind == "Masked":
        return masked(draw(inner), draw(KEPT))
    fields: dict = {}
    meta: dict = {}
    if kind == "Codebook":
        fields = {"centroids": weights(1, 5), "codes": rng.integers(0, 5, (6, 4)).astype(np.uint8)}
    elif kind == "Quantized":
        order = draw(st.sampled_from([(), (0, 1), (1, 0)]))
        codes = rng.integers(-7, 8, (6, 4)).astype(np.int8)
        fields = {
            "codes": codes.transpose(order or None).copy() if order == (1, 0) else codes,
            "scale": weights(2, 1, 4),
            "zero_point": draw(st.sampled_from([None, np.zeros((1, 4), np.int32)])),
        }
        meta = {"bits": 4, "order": order, "dtype_name": "float32", "activation": None}
    elif kind == "LowRank":
        fields = {"left": weights(3, 6, 2), "right": masked(weights(4, 2, 4), rng.random((2, 4)) < 0.5)}
        meta = {"inputs": 1}
    elif kind == "Sum":
        fields = {"terms": (draw(inner), draw(inner))}
    else:
        return draw(ARRAYS)
    return {"node": kind, "meta": meta, "fields": fields}


def shown(spec, gate=None):
    """The spec as it should come back: hidden entries zero. Written apart from the library's gates."""
    if isinstance(spec, dict):
        fields = dict(spec["fields"])
        if spec["node"] == "Masked":
            kept = fields["mask"] if gate is None else fields["mask"] & gate
            fields = {"mask": kept, "value": shown(fields["value"], kept)}
        elif spec["node"] == "Codebook" and gate is not None:
            fields["codes"] = np.where(gate, fields["codes"], 0).astype(np.uint8)
        elif spec["node"] == "Quantized" and gate is not None:
            stored = gate.T if spec["meta"]["order"] == (1, 0) else gate
            fields["codes"] = np.where(stored, fields["codes"], 0).astype(np.int8)
        elif spec["node"] == "Sum":
            fields["terms"] = tuple(shown(term, gate) for term in fields["terms"])
        elif spec["node"] == "LowRank":
            fields = {name: shown(field) for name, field in fields.items()}
        return {**spec, "fields": fields}
    return spec if gate is None else np.where(gate, spec, np.float32(0))


@given(specs())
def test_any_nest_comes_back_with_hidden_entries_zero(spec):
    assert same(roundtrip(spec), shown(spec))


@pytest.mark.parametrize("name", list(leaves()))
def test_every_sample_comes_back(name):
    assert same(roundtrip(leaves()[name]), shown(leaves()[name]))


def test_hidden_entries_cost_nothing():
    kept = mask(0, 100, 50)
    noise = weights(1, 100, 50)
    structure, payload = encode(masked(noise, kept))
    assert structure["f"]["value"][3] <= 4 * kept.sum()
    assert encode(masked(np.where(kept, noise, 7), kept))[1] == payload


def test_bits_and_lists_and_none_come_back():
    spec = [Bits("bfloat16", np.arange(5, dtype=np.uint16)), None, (np.int8(3),)]
    assert same(roundtrip(spec), [spec[0], None, (np.array(3, np.int8),)])


def test_stored_leaves_out_what_a_mask_hides():
    spec = shared(0)
    kept = spec["fields"]["mask"]
    book = spec["fields"]["value"]["fields"]
    found = list(stored((spec, None, weights(0, 3))))
    assert [x.shape for x in found] == [kept.shape, book["centroids"].shape, (kept.sum(),), (3,)]
    assert found[2].tolist() == book["codes"][kept].tolist()


def test_sizes_are_refused_before_they_are_allocated():
    with pytest.raises(ArtifactError, match=r"needs 4000000 bytes but only 100 of max_bytes=100 are left.*larger"):
        decode(["fill", "float32", [1000, 1000], 4], Reader(bytes(4)), Budget(100))
    budget = Budget(60)
    decode(["fill", "float32", [10], 4], Reader(bytes(4)), budget)
    with pytest.raises(ArtifactError, match="only 20 of max_bytes=60"):
        decode(["fill", "float32", [10], 4], Reader(bytes(4)), budget)


@pytest.mark.parametrize(
    ("structure", "message"),
    [
        (["raw", "float32", [-1], 4], "not a size"),
        (["raw", "float32", [1.5], 4], "not a size"),
        (["raw", "float32", [True], 4], "not a size"),
        (["raw", "float32", [1] * 33, 4], "not a shape"),
        (["raw", "float32", "3", 4], "not a shape"),
        (["raw", "float32", [1], 2**50], "not a size"),
        (["raw", "float32", [1]], "unknown array entry"),
        (["raw", "float32", [1], 4, 1], "mask that is missing"),
        ({"n": "Masked", "m": {}}, "unknown structure"),
        ({"t": 3}, "unknown structure"),
        (7, "unknown structure"),
        ({"n": 5, "m": {}, "f": {}}, "name and two tables"),
        ({"n": "Masked", "m": {}, "f": {"value": None, "mask": None}}, "stores its mask after"),
    ],
)
def test_structures_that_make_no_sense_are_refused(structure, message):
    with pytest.raises(ArtifactError, match=message):
        decode(structure, Reader(bytes(100)), Budget(1000))


def test_bottomless_nests_are_refused():
    structure = None
    for _ in range(60):
        structure = {"t": [structure]}
    with pytest.raises(ArtifactError, match="nested deeper"):
        decode(structure, Reader(b""), Budget(0))


def test_a_shared_kernel_gates_its_codes():
    spec = shared(0)
    structure, _ = encode(spec)
    codes = structure["f"]["value"]["f"]["codes"]
    assert codes[2] == [30, 20]
    assert codes[4] == 1
