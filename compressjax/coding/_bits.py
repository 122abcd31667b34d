"""Bit packing, variable-length integers, and a bounds-checked reader."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from compressjax.coding._errors import ArtifactError
from compressjax.coding._limits import BLOCK

Buffer = bytes | memoryview
_CHUNK = 1 << 20


def pack(codes: np.ndarray, width: int) -> bytes:
    r"""Packs non-negative integers below \(2^w\) into \(\lceil n w / 8 \rceil\) bytes, most significant bit first."""
    codes = np.asarray(codes).astype(np.uint64, copy=False).reshape(-1)
    if width < 64 and codes.size and int(codes.max()) >> width:
        raise ArtifactError(f"code {int(codes.max())} does not fit in {width} bits; use a larger width")
    if width == 8:
        return codes.astype(np.uint8).tobytes()
    shifts = np.arange(width - 1, -1, -1, dtype=np.uint64)
    parts = []
    for start in range(0, codes.size, _CHUNK):  # chunks hold a multiple of 8 entries, so they end at a byte boundary
        block = (codes[start : start + _CHUNK, None] >> shifts) & np.uint64(1)
        parts.append(np.packbits(block.astype(np.uint8).reshape(-1)).tobytes())
    return b"".join(parts)


def unpack(data: Buffer, width: int, count: int) -> np.ndarray:
    """Inverse of `pack`: `count` integers of `width` bits as uint64; raises for wrong lengths and padding."""
    return np.concatenate([np.zeros(0, np.uint64), *unpack_blocks(data, width, count)])


def unpack_blocks(data: Buffer, width: int, count: int) -> Iterator[np.ndarray]:
    """Inverse of `pack`, in blocks of at most `BLOCK` entries."""
    if len(data) != packed_bytes(count, width):
        raise ArtifactError(
            f"{len(data)} packed bytes where {count} codes of {width} bits need "
            f"{packed_bytes(count, width)}; the file is damaged"
        )
    raw = np.frombuffer(data, np.uint8)
    padding = len(data) * 8 - count * width
    if padding and raw[-1] & ((1 << padding) - 1):
        raise ArtifactError("padding bits after packed codes are not zero; the file is damaged")
    for start in range(0, count, BLOCK):  # blocks hold a multiple of 8 entries, so they end at a byte boundary
        stop = min(count, start + BLOCK)
        block = raw[start * width // 8 : packed_bytes(stop, width)]
        if width == 8:
            yield block.astype(np.uint64)
            continue
        out = np.zeros(stop - start, np.uint64)
        bits = np.unpackbits(block)[: out.size * width]
        for column in bits.reshape(out.size, width).T:
            out = (out << np.uint64(1)) | column
        yield out


def packed_bytes(count: int, width: int) -> int:
    """Bytes of `count` packed codes of `width` bits."""
    return -(-count * width // 8)


def varint(value: int) -> bytes:
    """Encodes a non-negative integer with seven bits per byte, low bits first."""
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def zigzag(value: int) -> int:
    """Maps signed to non-negative integers: 0, -1, 1, -2 become 0, 1, 2, 3."""
    return 2 * value if value >= 0 else -2 * value - 1


def unzigzag(value: int) -> int:
    """Inverse of `zigzag`."""
    return value // 2 if value % 2 == 0 else -(value + 1) // 2


class Reader:
    """Reads bytes from a buffer and raises at its end."""

    def __init__(self, data: Buffer) -> None:
        self._data = memoryview(data)  # parts of it are no copies
        self._at = 0

    def take(self, count: int) -> memoryview:
        """The next `count` bytes."""
        if not 0 <= count <= len(self._data) - self._at:
            raise ArtifactError(
                f"{count} bytes wanted where {len(self._data) - self._at} are left; the file is damaged"
            )
        self._at += count
        return self._data[self._at - count : self._at]

    def rest(self) -> memoryview:
        """All remaining bytes."""
        return self.take(len(self._data) - self._at)

    def varint(self, limit: int = 2**63 - 1) -> int:
        """The next variable-length integer; raises if it is above `limit`."""
        value = 0
        for shift in range(0, 70, 7):
            byte = self.take(1)[0]
            value |= (byte & 127) << shift
            if byte < 128:
                if value > limit:
                    raise ArtifactError(f"stored size {value} is above its bound {limit}; the file is damaged")
                return value
        raise ArtifactError("a stored size has more than ten bytes; the file is damaged")
