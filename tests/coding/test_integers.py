"""Integer codecs: each stores every dtype, and the estimate finds the shortest."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compressjax.coding import ArtifactError
from compressjax.coding._bits import varint, zigzag
from compressjax.coding._integers import candidates, decode, smallest
from compressjax.coding._limits import Budget
from tests.coding.samples import bell, whole

TYPES = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")


@pytest.mark.parametrize("name", TYPES)
@given(data=st.data())
def test_every_codec_holds_every_type(name, data):
    info = np.iinfo(name)
    low = data.draw(st.integers(info.min, info.max - 1))
    high = data.draw(st.integers(low + 1, min(info.max, low + data.draw(st.sampled_from([1, 50, 2**63])))))
    values = np.array([low, high, *data.draw(st.lists(st.integers(low, high), max_size=30))], name)
    for _, codec, run in candidates(values):
        again = whole(decode(codec, run(), values.dtype, values.size, Budget()))
        assert again.dtype == values.dtype
        assert again.tolist() == values.tolist()


def test_alphabets_up_to_4096_are_entropy_coded():
    assert {c[1] for c in candidates(np.array([0, 4095]))} == {"packed", "huffman", "ans"}
    assert {c[1] for c in candidates(np.array([0, 4096]))} == {"packed"}
    assert candidates(np.array([0, 255], np.uint8))[0][1] != "packed"


def test_the_shortest_is_returned():
    symbols = bell(0, 4000, 64, 3.0)
    lengths = {codec: len(run()) for _, codec, run in candidates(symbols)}
    name, payload = smallest(candidates(symbols))
    assert len(payload) == lengths[name] == min(lengths.values())


def test_a_wrong_estimate_does_not_win():
    assert smallest([(1, "boasts", lambda: bytes(9)), (4, "delivers", lambda: bytes(4))]) == ("delivers", bytes(4))


def test_spans_outside_the_type_are_refused():
    with pytest.raises(ArtifactError, match="span 200 to 300, outside uint8"):
        whole(decode("packed", varint(zigzag(200)) + varint(100), np.dtype(np.uint8), 1, Budget()))
    with pytest.raises(ArtifactError, match="alphabet of 5001 is above 4096"):
        whole(decode("ans", varint(0) + varint(5000), np.dtype(np.uint16), 1, Budget()))
    with pytest.raises(ArtifactError, match="outside its alphabet"):
        whole(decode("packed", varint(0) + varint(2) + b"\xc0", np.dtype(np.uint16), 1, Budget()))
