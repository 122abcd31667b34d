"""Compact tables of small non-negative integers (code lengths, log frequencies).

There are three layouts, of which the shortest is stored: Rice codes of the values, Rice codes of their differences
(for smooth tables), and deflate (for tables with mostly absent entries).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

import numpy as np

from compressjax.coding._bits import Buffer, Reader, pack, packed_bytes, unpack, varint
from compressjax.coding._errors import ArtifactError
from compressjax.coding._limits import BLOCK

_MAX_RICE = 7
_DIRECT, _DELTA, _DEFLATE = 0, 1, 2
_TOP = 1 << 16


def encode(values: np.ndarray) -> bytes:
    """Encodes a table in its shortest layout, after a byte for the layout."""
    values = np.asarray(values, np.int64)
    layouts = {_DIRECT: values, _DELTA: _fold(np.diff(values, prepend=0))}
    bits, mode, k = min(
        (int((folded >> k).sum()) + folded.size * (1 + k), mode, k)
        for mode, folded in layouts.items()
        for k in range(_MAX_RICE + 1)
    )
    if values.size and int(values.max()) < 256:
        deflated = zlib.compress(values.astype(np.uint8).tobytes(), 9, wbits=-15)
        if len(deflated) + 2 < bits // 8:
            return bytes([_DEFLATE << 4]) + varint(len(deflated)) + deflated
    return bytes([mode << 4 | k]) + _rice(layouts[mode], k)


def decode(reader: Reader, count: int) -> np.ndarray:
    """Inverse of `encode` for a table of `count` entries, int64."""
    head = reader.take(1)[0]
    mode, k = head >> 4, head & 15
    if mode == _DEFLATE and k == 0:
        return np.frombuffer(inflate(reader.take(reader.varint()), count), np.uint8).astype(np.int64)
    if mode not in (_DIRECT, _DELTA) or k > _MAX_RICE:
        raise ArtifactError(f"unknown table layout {head}; the file is damaged")
    values = _unrice(reader, k, count)
    if mode == _DELTA:
        values = np.cumsum(np.where(values & 1, -(values >> 1) - 1, values >> 1))
    if count and (values.min() < 0 or values.max() > _TOP):
        raise ArtifactError("a table entry is out of range; the file is damaged")
    return values


def inflate(data: Buffer, size: int) -> bytes:
    """Inflates a raw deflate stream; raises unless it has exactly `size` bytes, which prevents zip bombs."""
    return b"".join(inflate_blocks(data, size))


def inflate_blocks(data: Buffer, size: int, block: int = BLOCK) -> Iterator[bytes]:
    """Inflates in parts of exactly `block` bytes, of which the last may be shorter."""
    engine, part, left, start = zlib.decompressobj(wbits=-15), bytearray(), size, 0
    for start in range(0, len(data), BLOCK):
        rest: Buffer = data[start : start + BLOCK]
        while not engine.eof:
            try:
                part += engine.decompress(rest, block - len(part))
            except zlib.error as error:
                raise ArtifactError(f"a deflated stream is damaged: {error}") from error
            rest = engine.unconsumed_tail
            if len(part) < block and not rest:
                break  # it wants more input
            if len(part) == block:
                left -= block
                if left < 0:
                    break
                yield bytes(part)
                part.clear()
        if engine.eof or left < 0:
            break
    if left != len(part) or not engine.eof or engine.unused_data or start + BLOCK < len(data):
        raise ArtifactError(f"a deflated stream does not hold exactly the {size} bytes it should; the file is damaged")
    if part:
        yield bytes(part)


def _fold(values: np.ndarray) -> np.ndarray:
    return np.where(values >= 0, 2 * values, -2 * values - 1)


def _rice(values: np.ndarray, k: int) -> bytes:
    """All quotients in unary, then all remainders at fixed width, so that decoding is vectorized."""
    ends = np.cumsum((values >> k) + 1)
    unary = np.zeros(int(ends[-1]) if values.size else 0, np.uint8)
    unary[ends - 1] = 1
    return np.packbits(unary).tobytes() + pack(values & ((1 << k) - 1), k)


def _unrice(reader: Reader, k: int, count: int) -> np.ndarray:
    ones, unary = 0, bytearray()
    while ones < count:
        unary += reader.take(1)
        ones += unary[-1].bit_count()
    ends = np.flatnonzero(np.unpackbits(np.frombuffer(bytes(unary), np.uint8)))
    if ends.size != count:
        raise ArtifactError("a table holds more entries than its alphabet; the file is damaged")
    quotients = np.diff(ends, prepend=-1) - 1
    remainders = unpack(reader.take(packed_bytes(count, k)), k, count)
    return (quotients << k) + remainders.astype(np.int64)
