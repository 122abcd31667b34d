"""Canonical Huffman codes: only the code lengths are stored."""

from __future__ import annotations

import heapq
from collections.abc import Iterator

import numpy as np

from compressjax.coding import _table
from compressjax.coding._bits import Buffer, Reader
from compressjax.coding._errors import ArtifactError
from compressjax.coding._limits import BLOCK, Budget

LONGEST = 20
_CHUNK = 1 << 20


def lengths(counts: np.ndarray) -> np.ndarray:
    r"""Code lengths of an optimal prefix code, which minimizes \(\sum_i c_i l_i\).

    Source: Huffman, 1952, A method for the construction of minimum-redundancy codes [huffman1952].
    """
    present = np.flatnonzero(counts)
    if present.size < 2:
        raise ArtifactError("a Huffman code needs at least two different symbols; store the array as a fill")
    heap = [(int(counts[i]), n, n) for n, i in enumerate(present)]
    heapq.heapify(heap)
    parents = np.zeros(2 * present.size - 1, np.int64)
    for node in range(present.size, 2 * present.size - 1):
        first, second = heapq.heappop(heap), heapq.heappop(heap)
        parents[first[2]] = parents[second[2]] = node
        heapq.heappush(heap, (first[0] + second[0], node, node))
    depth = np.zeros(parents.size, np.int64)
    for node in range(parents.size - 2, -1, -1):  # a parent always has the higher number
        depth[node] = depth[parents[node]] + 1
    out = np.zeros(len(counts), np.int64)
    out[present] = depth[: present.size]
    return out


def canonical(code_lengths: np.ndarray) -> np.ndarray:
    """Canonical code of each symbol: shorter codes first, then by symbol."""
    codes = np.zeros(len(code_lengths), np.int64)
    order, starts, longest = _ordered(code_lengths)
    codes[order] = starts >> (longest - code_lengths[order])
    return codes


def _ordered(code_lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Symbols in the order of their codes, their codes filled up with zeros to the longest, and the longest length."""
    order = np.lexsort((np.arange(len(code_lengths)), code_lengths))
    order = order[code_lengths[order] > 0]
    longest = int(code_lengths[order[-1]])
    spans = np.int64(1) << (longest - code_lengths[order])
    return order, np.cumsum(spans) - spans, longest


def encode(symbols: np.ndarray, code_lengths: np.ndarray) -> bytes:
    """Code lengths, then the codes of int32 symbols `[n]`, most significant bit first."""
    codes = canonical(code_lengths)
    parts, carry = [_entries(code_lengths)], np.zeros(0, np.uint8)
    for start in range(0, symbols.size, _CHUNK):
        block = symbols[start : start + _CHUNK]
        width, code = code_lengths[block], codes[block]
        ends = np.cumsum(width)
        bits = np.zeros(int(ends[-1]), np.uint8)
        for place in range(int(width.max())):
            there = width > place
            bits[ends[there] - 1 - place] = (code[there] >> place) & 1
        bits = np.concatenate([carry, bits])
        whole = bits.size // 8 * 8
        parts.append(np.packbits(bits[:whole]).tobytes())
        carry = bits[whole:]
    return b"".join(parts) + np.packbits(carry).tobytes()


def stored_bits(counts: np.ndarray, code_lengths: np.ndarray) -> int:
    """Bits that `encode` will use, table included."""
    return 8 * len(_entries(code_lengths)) + int((counts * code_lengths).sum())


def decode(reader: Reader, alphabet: int, count: int, budget: Budget) -> Iterator[np.ndarray]:
    """Inverse of `encode`: int64 `[count]` in blocks; reads all remaining bytes."""
    entries = _table.decode(reader, alphabet)
    if not entries.any():
        raise ArtifactError("a Huffman table is empty; the file is damaged")
    budget.work(4 * alphabet)
    shortest = reader.take(1)[0]
    code_lengths = np.where(entries > 0, entries - 1 + shortest, 0)
    used = code_lengths[code_lengths > 0]
    longest = int(used.max()) if used.size else 0
    if not 0 < longest <= LONGEST or int((1 << (longest - used)).sum()) != 1 << longest:
        raise ArtifactError("stored Huffman code lengths do not form a complete code; the file is damaged")
    return _walk(reader.rest(), code_lengths, count, budget)


def _walk(data: Buffer, code_lengths: np.ndarray, count: int, budget: Budget) -> Iterator[np.ndarray]:
    """Looks up the length of the code that would start at every bit, then follows the lengths from code to code."""
    order, codes, longest = _ordered(code_lengths)
    lengths_used, firsts = np.unique(code_lengths[order], return_index=True)
    done, at = 0, 0
    while done < count:
        first = at // 8
        block = np.frombuffer(data[first : first + BLOCK // 8 + 4], np.uint8)
        bits = np.unpackbits(np.concatenate([block, np.zeros(4, np.uint8)])).astype(np.int32)
        span = min(BLOCK, len(data) * 8 - first * 8)
        if span <= at - first * 8:
            raise ArtifactError("a Huffman stream ends before its last symbol; the file is damaged")
        budget.work(4 * span)
        window = np.zeros(span, np.int32)
        for place in range(longest):
            window = window << 1 | bits[place : place + span]
        hops = lengths_used[np.searchsorted(codes[firsts], window, side="right") - 1].tolist()
        here = at - first * 8
        starts: list[int] = []
        while here < span and done + len(starts) < count:
            starts.append(here)
            here += hops[here]
        yield order[np.searchsorted(codes, window[starts], side="right") - 1]
        done, at = done + len(starts), first * 8 + here
    if at > len(data) * 8 or len(data) != -(-at // 8):
        raise ArtifactError("a Huffman stream does not end with its last symbol; the file is damaged")
    if at % 8 and data[-1] & ((1 << (8 - at % 8)) - 1):
        raise ArtifactError("padding bits after a Huffman stream are not zero; the file is damaged")


def _entries(code_lengths: np.ndarray) -> bytes:
    """Encodes the table: 0 for absent symbols, else 1 plus the length minus the shortest, which comes last."""
    shortest = int(code_lengths[code_lengths > 0].min())
    entries = np.where(code_lengths > 0, code_lengths - shortest + 1, 0)
    return _table.encode(entries) + bytes([shortest])
