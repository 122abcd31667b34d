"""Dtypes by name, so that NumPy can hold the bits of types that it lacks (bfloat16, float8, float4, int4)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from compressjax.coding._errors import ArtifactError

NATIVE = frozenset((
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32", "float64",
    "complex64", "complex128",
))  # fmt: skip
FOREIGN = {
    "bfloat16": "uint16",
    "float8_e3m4": "uint8", "float8_e4m3": "uint8", "float8_e4m3b11fnuz": "uint8", "float8_e4m3fn": "uint8",
    "float8_e4m3fnuz": "uint8", "float8_e5m2": "uint8", "float8_e5m2fnuz": "uint8", "float8_e8m0fnu": "uint8",
    "float4_e2m1fn": "uint8",
    "int2": "uint8", "int4": "uint8", "uint2": "uint8", "uint4": "uint8",
}  # fmt: skip


class Bits(NamedTuple):
    """An array of a dtype that NumPy lacks, as the bit patterns of its entries.

    Args:
        dtype: Name of the dtype, for example `"bfloat16"`.
        data: Unsigned integers `[*shape]`, a bit pattern per entry.

    Example:
        >>> Bits("bfloat16", np.array([0x3F80], np.uint16)).shape
        (1,)
    """

    dtype: str
    data: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array."""
        return self.data.shape

    @property
    def size(self) -> int:
        """Number of entries."""
        return self.data.size


def split(array: object) -> tuple[str, np.ndarray]:
    """Returns the name of an array's dtype, and a NumPy array with its bits."""
    if isinstance(array, Bits):
        if array.dtype not in FOREIGN or array.data.dtype.name != FOREIGN[array.dtype]:
            raise ArtifactError(
                f"Bits of type {array.dtype!r} over {array.data.dtype.name!r} cannot be stored; "
                f"use one of {sorted(FOREIGN)} over the unsigned type of the same width"
            )
        return array.dtype, np.asarray(array.data)
    array = np.asarray(array)
    name = array.dtype.name
    if name in FOREIGN:
        return name, array.view(FOREIGN[name])
    if name not in NATIVE:
        raise ArtifactError(f"arrays of type {name!r} cannot be stored; convert to one of {sorted(NATIVE)}")
    return name, array.astype(array.dtype.newbyteorder("="), copy=False)


def carrier(name: object) -> np.dtype:
    """The NumPy dtype that holds the bits of the dtype `name`; raises for unknown names."""
    if isinstance(name, str):
        if name in NATIVE:
            return np.dtype(name)
        if name in FOREIGN:
            return np.dtype(FOREIGN[name])
    raise ArtifactError(
        f"unknown data type {name!r} in the manifest; this version reads {sorted(NATIVE)} and {sorted(FOREIGN)}"
    )


def join(name: str, bits: np.ndarray) -> np.ndarray | Bits:
    """Inverse of `split`: dtypes that NumPy lacks become `Bits`."""
    return Bits(name, bits) if name in FOREIGN else bits


def to_bytes(array: np.ndarray) -> bytes:
    """Bytes of the entries in C order, little endian on every machine."""
    return np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False).tobytes()


def from_bytes(data: bytes | memoryview, dtype: np.dtype, count: int) -> np.ndarray:
    """Inverse of `to_bytes`, without a copy; raises if the length does not match `count` entries."""
    if len(data) != count * dtype.itemsize:
        raise ArtifactError(
            f"{len(data)} bytes stored where {count} entries of {dtype.name} need "
            f"{count * dtype.itemsize}; the file is damaged"
        )
    if dtype.kind == "b" and count and int(np.frombuffer(data, np.uint8).max()) > 1:
        raise ArtifactError("a boolean array holds bytes other than 0 and 1; the file is damaged")
    return np.frombuffer(data, dtype.newbyteorder("<")).astype(dtype, copy=False)
