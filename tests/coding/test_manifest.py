"""The manifest: small, strict, and never a bomb."""

import json
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compressjax.coding import ArtifactError
from compressjax.coding._limits import Budget
from compressjax.coding._manifest import MAX_BYTES, decode, encode

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("ab/é", max_size=4), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text("abc", max_size=5), JSON, max_size=5))
def test_json_comes_back(manifest):
    assert decode(*encode(manifest), Budget()) == manifest


def test_a_usual_manifest_is_smaller_than_plain_deflate_makes_it():
    leaf = [
        "params/Dense_0/kernel",
        {
            "n": "Masked",
            "m": {},
            "f": {
                "mask": ["rows", "bool", [64, 32], 99],
                "value": {
                    "n": "Codebook",
                    "m": {},
                    "f": {"centroids": ["raw", "float32", [16], 64], "codes": ["ans", "uint8", [64, 32], 77, 1]},
                },
            },
        },
        4096,
    ]
    manifest = {"format": 1, "metadata": {"versions": {"jax": "0.10.2"}}, "leaves": [leaf], "sections": [200]}
    size, packed = encode(manifest)
    text = json.dumps(manifest, separators=(",", ":")).encode()
    assert size == len(text)
    assert len(packed) < 0.6 * len(zlib.compress(text, 9))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1, 2}, b"bytes", {(1, 2): 3}])
def test_metadata_that_is_no_json_is_refused(value):
    with pytest.raises(ArtifactError, match="metadata is not JSON"):
        encode({"metadata": value})


def test_sizes_that_do_not_fit_are_refused():
    size, packed = encode({"a": "b" * 1000})
    for wrong in (size - 1, size + 1, 0):
        with pytest.raises(ArtifactError, match="exactly"):
            decode(wrong, packed, Budget())
    with pytest.raises(ArtifactError, match="above"):
        decode(MAX_BYTES + 1, packed, Budget())
    with pytest.raises(ArtifactError, match="cannot be read"):
        decode(size, b"\xff\xff\xff", Budget())


def test_text_that_is_no_table_is_refused():
    for text in (b"[1]", b"3", b"null"):
        deflater = zlib.compressobj(wbits=-15)
        with pytest.raises(ArtifactError, match="not a table"):
            decode(len(text), deflater.compress(text) + deflater.flush(), Budget())
    for text in (b"{", b"\xff\xfe", b"[" * 100_000):
        deflater = zlib.compressobj(wbits=-15)
        with pytest.raises(ArtifactError, match="cannot be read"):
            decode(len(text), deflater.compress(text) + deflater.flush(), Budget())
