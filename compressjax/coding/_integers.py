"""Codecs for integers from a small alphabet: packed, Huffman, ANS, after a head with its minimum and range."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from compressjax.coding import _ans, _huffman
from compressjax.coding._bits import Buffer, Reader, pack, packed_bytes, unpack_blocks, unzigzag, varint, zigzag
from compressjax.coding._errors import ArtifactError
from compressjax.coding._limits import Budget

ALPHABET = 4096
Candidate = tuple[float, str, Callable[[], bytes]]


def smallest(candidates: list[Candidate]) -> tuple[str, bytes]:
    """Codec with the fewest bytes; runs only codecs whose estimate can be the smallest."""
    ordered = sorted(candidates, key=lambda candidate: candidate[0])
    best = ordered[0][1], ordered[0][2]()
    for estimate, name, run in ordered[1:]:
        if estimate > len(best[1]) + 4:
            break
        payload = run()
        if len(payload) < len(best[1]):
            best = name, payload
    return best


def candidates(values: np.ndarray) -> list[Candidate]:
    """Estimated size and encoder of each codec that can store these integers `[n]`, `n > 0`, not all equal."""
    low, high = int(values.min()), int(values.max())
    head = varint(zigzag(low)) + varint(high - low)
    width = (high - low).bit_length()
    if values.dtype.kind == "b":
        values = values.view(np.uint8)
    if values.dtype.itemsize <= 2:
        codes: np.ndarray = values.astype(np.int32) - np.int32(low)
    else:
        codes = values.astype(np.uint64) - np.uint64(low % 2**64)  # wraps to the exact difference
        codes = codes.astype(np.int32) if width <= 31 else codes
    out: list[Candidate] = []
    if width < values.dtype.itemsize * 8:
        out.append((len(head) + packed_bytes(values.size, width), "packed", lambda: head + pack(codes, width)))
    if high - low < ALPHABET:
        counts = _ans.histogram(codes, high - low + 1)
        code_lengths = _huffman.lengths(counts)
        if code_lengths.max() <= _huffman.LONGEST:
            size = len(head) + -(-_huffman.stored_bits(counts, code_lengths) // 8)
            out.append((size, "huffman", lambda: head + _huffman.encode(codes, code_lengths)))
        planned = _ans.plan(counts)
        out.append((len(head) + 1 + planned[0] / 8, "ans", lambda: head + _ans.encode(codes, planned)))
    return out


def decode(name: str, data: Buffer, dtype: np.dtype, count: int, budget: Budget) -> Iterator[np.ndarray]:
    """Decodes integers `[count]` of type `dtype` from a payload of one of these codecs, in blocks."""
    reader = Reader(data)
    low = unzigzag(reader.varint(2**65))
    spread = reader.varint(2**64 - 1)
    check_span(low, spread, dtype)
    if name == "packed":
        blocks = unpack_blocks(reader.rest(), spread.bit_length(), count)
    elif spread >= ALPHABET:
        raise ArtifactError(f"an entropy-coded alphabet of {spread + 1} is above {ALPHABET}; the file is damaged")
    else:
        blocks = (_huffman.decode if name == "huffman" else _ans.decode)(reader, spread + 1, count, budget)
    for codes in blocks:
        if int(codes.max()) > spread:
            raise ArtifactError("a stored code is outside its alphabet; the file is damaged")
        yield shifted(codes, low, dtype)


def check_span(low: int, spread: int, dtype: np.dtype) -> None:
    """Raises unless the integers from `low` to `low + spread` are of a type."""
    lowest, highest = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    if not lowest <= low <= low + spread <= highest:
        raise ArtifactError(f"stored integers span {low} to {low + spread}, outside {dtype.name}; the file is damaged")


def shifted(codes: np.ndarray, low: int, dtype: np.dtype) -> np.ndarray:
    """Codes plus the smallest entry, as entries of a type."""
    if dtype.kind == "b":
        return (codes + low).astype(bool)
    # The sum wraps exactly as two's complement does.
    wide = codes.astype(np.uint64) + np.uint64(low % 2**64)
    return wide.astype(np.int64).astype(dtype) if dtype.kind == "i" else wide.astype(dtype)
