"""Small tables: exact round trips in few bytes, for every layout."""

import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compressjax.coding import ArtifactError
from compressjax.coding._bits import Reader
from compressjax.coding._table import decode, encode, inflate


@given(st.lists(st.integers(0, 4000), min_size=1, max_size=60))
def test_tables_come_back(values):
    reader = Reader(encode(np.array(values)) + b"rest")
    assert decode(reader, len(values)).tolist() == values
    assert reader.rest() == b"rest"


def test_each_layout_is_used_where_it_is_short():
    rng = np.random.default_rng(0)
    uneven = rng.permutation(np.repeat([0, 1, 2, 9], [40, 20, 5, 2]))
    slow = np.arange(200) // 2 + 50
    empty = np.zeros(2000, int)
    layouts = {name: encode(table) for name, table in (("direct", uneven), ("delta", slow), ("deflate", empty))}
    assert [layouts[name][0] >> 4 for name in ("direct", "delta", "deflate")] == [0, 1, 2]
    assert len(layouts["direct"]) < 67 * 3 / 8 + 2
    assert len(layouts["delta"]) < 200 * 2.6 / 8 + 8
    assert len(layouts["deflate"]) < 30


def test_foreign_heads_and_sizes_are_refused():
    with pytest.raises(ArtifactError, match="unknown table layout"):
        decode(Reader(b"\x30abc"), 2)
    with pytest.raises(ArtifactError, match="unknown table layout"):
        decode(Reader(b"\x0fabc"), 2)
    with pytest.raises(ArtifactError, match="more entries than its alphabet"):
        decode(Reader(b"\x00\xff"), 2)


def test_a_deflated_bomb_is_not_expanded():
    def deflate(data: bytes) -> bytes:
        engine = zlib.compressobj(9, wbits=-15)
        return engine.compress(data) + engine.flush()

    assert inflate(deflate(b"abc"), 3) == b"abc"
    for data, size in (
        (deflate(bytes(10**7)), 10),
        (deflate(b"abc"), 4),
        (deflate(b"abc")[:-1], 3),
        (deflate(b"abc") + b"x", 3),
    ):
        with pytest.raises(ArtifactError, match="exactly"):
            inflate(data, size)
    with pytest.raises(ArtifactError, match="damaged"):
        inflate(b"\xff\xff\xff", 3)
