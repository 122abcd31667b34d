"""Packing against Python's own integers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compressjax.coding import ArtifactError
from compressjax.coding._bits import Reader, pack, packed_bytes, unpack, unzigzag, varint, zigzag


@given(st.integers(0, 64), st.lists(st.integers(0, 2**64 - 1), max_size=40))
def test_packing_equals_binary_text(width, values):
    values = [value % 2**width for value in values]
    text = "".join(format(value, f"0{width}b") for value in values) if width else ""
    expected = int(text.ljust(-(-len(text) // 8) * 8, "0") or "0", 2).to_bytes(-(-len(text) // 8), "big")
    packed = pack(np.array(values, np.uint64), width)
    assert packed == expected
    assert len(packed) == packed_bytes(len(values), width)
    assert unpack(packed, width, len(values)).tolist() == values


def test_chunks_join_without_a_seam(monkeypatch):
    monkeypatch.setattr("compressjax.coding._bits._CHUNK", 16)
    codes = np.arange(100) % 32
    packed = pack(codes, 5)
    assert unpack(packed, 5, 100).tolist() == codes.tolist()
    monkeypatch.undo()
    assert pack(codes, 5) == packed


def test_codes_that_do_not_fit_and_foreign_lengths_are_refused():
    with pytest.raises(ArtifactError, match="code 4 does not fit in 2 bits"):
        pack(np.array([4]), 2)
    with pytest.raises(ArtifactError, match="2 packed bytes where 3 codes of 2 bits need 1"):
        unpack(b"ab", 2, 3)
    with pytest.raises(ArtifactError, match="padding bits"):
        unpack(b"\xff", 2, 3)


@given(st.integers(-(2**64), 2**64))
def test_signed_integers_fold_and_unfold(value):
    assert zigzag(value) >= 0
    assert unzigzag(zigzag(value)) == value


@given(st.lists(st.integers(0, 2**63 - 1)))
def test_variable_length_integers_follow_each_other(values):
    reader = Reader(b"".join(map(varint, values)))
    assert [reader.varint() for _ in values] == values
    assert reader.rest() == b""


def test_a_reader_never_runs_past_the_end():
    with pytest.raises(ArtifactError, match="3 bytes wanted where 2 are left"):
        Reader(b"ab").take(3)
    with pytest.raises(ArtifactError, match="-1 bytes wanted"):
        Reader(b"ab").take(-1)
    with pytest.raises(ArtifactError, match="above its bound 5"):
        Reader(varint(6)).varint(5)
    with pytest.raises(ArtifactError, match="more than ten bytes"):
        Reader(b"\xff" * 11).varint()
