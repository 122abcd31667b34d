"""Dtypes by name, held by NumPy only."""

import ml_dtypes
import numpy as np
import pytest

from compressjax.coding import ArtifactError, Bits
from compressjax.coding._dtypes import FOREIGN, NATIVE, carrier, from_bytes, join, split, to_bytes


@pytest.mark.parametrize("name", sorted(NATIVE))
def test_native_types_pass_through_bytes(name):
    array = np.array([0, 1, 1, 0]).astype(name)
    stored, bits = split(array)
    again = join(stored, from_bytes(to_bytes(bits), carrier(stored), 4))
    assert stored == name
    assert again.dtype == array.dtype
    assert again.tobytes() == array.tobytes()


@pytest.mark.parametrize("name", sorted(set(FOREIGN) & set(dir(ml_dtypes))))
def test_foreign_types_keep_their_bits(name):
    values = np.array([0, 1]) if "int" in name else np.array([1.0, 2.0])
    array = values.astype(getattr(ml_dtypes, name))
    stored, bits = split(array)
    again = join(stored, bits)
    assert isinstance(again, Bits)
    assert again.dtype == name
    assert again.data.view(getattr(ml_dtypes, name)).tobytes() == array.tobytes()
    assert split(again)[0] == name


def test_bfloat16_is_the_upper_half_of_float32():
    x = np.array([1.5, -0.0, 3.0], np.float32)
    assert split(x.astype(ml_dtypes.bfloat16))[1].tolist() == (x.view(np.uint32) >> 16).tolist()


def test_big_endian_arrays_are_stored_little_endian():
    assert to_bytes(split(np.array([1], ">i4"))[1]) == b"\x01\0\0\0"


def test_types_without_a_name_here_are_refused():
    with pytest.raises(ArtifactError, match="cannot be stored; convert"):
        split(np.array(["text"]))
    with pytest.raises(ArtifactError, match="cannot be stored; use one of"):
        split(Bits("bfloat16", np.zeros(1, np.uint8)))
    with pytest.raises(ArtifactError, match="unknown data type 'object'"):
        carrier("object")
    with pytest.raises(ArtifactError, match="unknown data type"):
        carrier(["float32"])


def test_bytes_that_are_no_booleans_or_of_another_length_are_refused():
    with pytest.raises(ArtifactError, match="other than 0 and 1"):
        from_bytes(b"\x00\x02", np.dtype(bool), 2)
    with pytest.raises(ArtifactError, match="5 bytes stored where 2 entries"):
        from_bytes(b"12345", np.dtype(np.int16), 2)
