"""Bit packing, variable-length integers, and a bounds-checked reader."""

from __future__ import annotations

import numpy as np

from compressjax.coding._errors import ArtifactError

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


def unpack(data: bytes, width: int, count: int) -> np.ndarray:
    """Inverse of `pack`: `count` integers of `width` bits as uint64; raises for wrong lengths and padding."""
    if len(data) != packed_bytes(count, width):
        raise ArtifactError(
            f"{len(data)} packed bytes where {count} codes of {width} bits need "
            f"{packed_bytes(count, width)}; the file is damaged"
        )
    raw = np.frombuffer(data, np.uint8)
    if width == 8:
        return raw.astype(np.uint64)
    padding = len(data) * 8 - count * width
    if padding and raw[-1] & ((1 << padding) - 1):
        raise ArtifactError("padding bits after packed codes are not zero; the file is damaged")
    out = np.zeros(count, np.uint64)
    for start in range(0, count, _CHUNK):
        stop = min(count, start + _CHUNK)
        first = start * width // 8
        bits = np.unpackbits(raw[first : packed_bytes(stop, width)])[: (stop - start) * width]
        for column in bits.reshape(stop - start, width).T:
            out[start:stop] = (out[start:stop] << np.uint64(1)) | column
    return out


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

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, count: int) -> bytes:
        """The next `count` bytes."""
        if not 0 <= count <= len(self._data) - self._at:
            raise ArtifactError(
                f"{count} bytes wanted where {len(self._data) - self._at} are left; the file is damaged"
            )
        self._at += count
        return self._data[self._at - count : self._at]

    def rest(self) -> bytes:
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
