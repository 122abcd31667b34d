"""Canonical Huffman codes: only the code lengths are stored."""

from __future__ import annotations

import heapq

import numpy as np

from compressjax.coding import _table
from compressjax.coding._bits import Reader
from compressjax.coding._errors import ArtifactError

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
    code, previous = 0, 0
    for symbol in np.lexsort((np.arange(len(code_lengths)), code_lengths)):
        length = int(code_lengths[symbol])
        if length:
            code <<= length - previous
            codes[symbol], previous = code, length
            code += 1
    return codes


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


def decode(reader: Reader, alphabet: int, count: int) -> np.ndarray:
    """Inverse of `encode`: int64 `[count]`; reads all remaining bytes."""
    entries = _table.decode(reader, alphabet)
    if not entries.any():
        raise ArtifactError("a Huffman table is empty; the file is damaged")
    shortest = reader.take(1)[0]
    code_lengths = np.where(entries > 0, entries - 1 + shortest, 0)
    used = code_lengths[code_lengths > 0]
    longest = int(used.max()) if used.size else 0
    if not 0 < longest <= LONGEST or int((1 << (longest - used)).sum()) != 1 << longest:
        raise ArtifactError("stored Huffman code lengths do not form a complete code; the file is damaged")
    symbol_at = np.zeros(1 << longest, np.int64)
    length_at = np.zeros(1 << longest, np.int64)
    codes = canonical(code_lengths)
    for symbol in np.flatnonzero(code_lengths):
        free = longest - int(code_lengths[symbol])
        span = slice(int(codes[symbol]) << free, (int(codes[symbol]) + 1) << free)
        symbol_at[span], length_at[span] = symbol, code_lengths[symbol]
    return _walk(reader.rest(), symbol_at, length_at, longest, count)


def _walk(data: bytes, symbol_at: np.ndarray, length_at: np.ndarray, longest: int, count: int) -> np.ndarray:
    """Looks up the code that would start at every bit, then follows the code lengths from code to code."""
    out, done, at = np.zeros(count, np.int64), 0, 0
    while done < count:
        first = at // 8
        block = np.frombuffer(data[first : first + _CHUNK // 8 + 4], np.uint8)
        bits = np.unpackbits(np.concatenate([block, np.zeros(4, np.uint8)])).astype(np.int64)
        span = min(_CHUNK, len(data) * 8 - first * 8)
        if span <= at - first * 8:
            raise ArtifactError("a Huffman stream ends before its last symbol; the file is damaged")
        window = np.zeros(span, np.int64)
        for place in range(longest):
            window = window << 1 | bits[place : place + span]
        hops, here = length_at[window].tolist(), at - first * 8
        starts: list[int] = []
        while here < span and done + len(starts) < count:
            starts.append(here)
            here += hops[here]
        out[done : done + len(starts)] = symbol_at[window[starts]]
        done, at = done + len(starts), first * 8 + here
    if at > len(data) * 8 or len(data) != -(-at // 8):
        raise ArtifactError("a Huffman stream does not end with its last symbol; the file is damaged")
    if at % 8 and data[-1] & ((1 << (8 - at % 8)) - 1):
        raise ArtifactError("padding bits after a Huffman stream are not zero; the file is damaged")
    return out


def _entries(code_lengths: np.ndarray) -> bytes:
    """Encodes the table: 0 for absent symbols, else 1 plus the length minus the shortest, which comes last."""
    shortest = int(code_lengths[code_lengths > 0].min())
    entries = np.where(code_lengths > 0, code_lengths - shortest + 1, 0)
    return _table.encode(entries) + bytes([shortest])
