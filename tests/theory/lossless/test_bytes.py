"""Bytes: round trips of any data, fewer bytes than general compressors on text, and refusals."""

import bz2
import gzip
import lzma
import pathlib

import numpy as np
import pytest

from compressjax.theory import decode_bytes, encode_bytes

TEXT = " ".join(pathlib.Path(__file__).with_name("test_match.py").read_text().split()).encode()[:1000]


def test_text_comes_back_and_takes_less_than_elsewhere():
    packed = encode_bytes(TEXT)
    assert decode_bytes(packed) == TEXT
    assert len(packed) < min(len(pack(TEXT)) for pack in (bz2.compress, gzip.compress, lzma.compress))


def test_any_bytes_come_back(draw):
    noise = draw.integers(0, 256, 900).astype(np.uint8).tobytes()
    packed = encode_bytes(noise)
    assert decode_bytes(packed) == noise
    assert 900 <= len(packed) < 960  # nothing can be gained, and little is lost
    assert encode_bytes(b"") == packed[:1] + bytes(4)


def test_a_changed_byte_gives_other_bytes():
    packed = bytearray(encode_bytes(TEXT))
    packed[200] ^= 1
    found = decode_bytes(bytes(packed))
    assert len(found) == len(TEXT)
    assert found != TEXT


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: encode_bytes(b"a", orders=7), "orders=7 must lie in 1 to 6"),
        (lambda: decode_bytes(b"abc"), "no head of five bytes"),
        (lambda: decode_bytes(b"\x06\xff\xff\xff\xff"), "4294967295 bytes are claimed"),
    ],
)
def test_bad_input_is_named(call, said):
    with pytest.raises(ValueError, match=said):
        call()
