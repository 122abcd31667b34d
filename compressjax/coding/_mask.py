"""Codecs for masks: gaps between kept positions, and Bernoulli coding with one density."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from compressjax.coding import _ans, _integers
from compressjax.coding._bits import Buffer, Reader, varint
from compressjax.coding._errors import ArtifactError
from compressjax.coding._limits import BLOCK, Budget

_CODECS = ("packed", "huffman", "ans")


def gaps(flat: np.ndarray) -> bytes:
    """Encodes gaps between kept positions, with fillers for gaps longer than the longest code.

    Each stream chooses the bit width of a gap. A filler skips positions and keeps none, so no filler weight is stored.

    Source: Han et al., 2016, Deep Compression, arXiv:1510.00149 [han2016deep].
    """
    return gaps_option(flat)[2]()


def gaps_option(flat: np.ndarray) -> _integers.Candidate:
    """Estimated size and encoder of `gaps`."""
    distances = np.diff(np.flatnonzero(flat), prepend=-1) - 1
    typical = int(max(1.0, distances.mean())).bit_length()
    tried = [_gaps(distances, width) for width in range(max(1, typical), typical + 4)]
    least = min(size for size, _ in tried)
    # An estimate is off by a few bytes, so only what comes close is encoded.
    return least, "gaps", lambda: min((run() for size, run in tried if size <= least + 8), key=len)


def from_gaps(data: Buffer, out: np.ndarray, budget: Budget) -> None:
    """Inverse of `gaps`: fills the booleans `[n]`."""
    reader = Reader(data)
    width, total = reader.take(1)[0], reader.varint(out.size)
    name = reader.take(1)[0]
    if not 1 <= width <= 12 or name > len(_CODECS):
        raise ArtifactError(f"unknown gap code {width}, {name}; the file is damaged")
    filler, last = (1 << width) - 1, -1
    out[:] = False
    for symbols in _symbols(reader, name, width, total, budget):
        budget.work(symbols.size)
        steps = symbols.astype(np.int64)
        ends = last + np.cumsum(np.where(steps >= filler, filler, steps + 1))
        kept, last = ends[steps < filler], int(ends[-1])
        if kept.size and kept[-1] >= out.size:
            raise ArtifactError(f"a kept position {kept[-1]} is outside its mask of {out.size}; the file is damaged")
        out[kept] = True


def _symbols(reader: Reader, name: int, width: int, total: int, budget: Budget) -> Iterator[np.ndarray]:
    if name < len(_CODECS):
        yield from _integers.decode(_CODECS[name], reader.rest(), np.dtype(np.uint16), total, budget)
        return
    symbol = reader.varint(1 << width)
    for start in range(0, total, BLOCK):
        yield np.full(min(BLOCK, total - start), symbol)


def _gaps(distances: np.ndarray, width: int) -> tuple[float, Callable[[], bytes]]:
    """Estimated size and encoder for codes of `width` bits."""
    filler = (1 << width) - 1
    fillers = distances // filler
    ends = np.cumsum(fillers + 1)
    symbols = np.full(int(ends[-1]), filler, np.uint16)
    symbols[ends - 1] = distances % filler
    head = bytes([width]) + varint(symbols.size)
    if symbols.min() == symbols.max():
        alike = head + bytes([len(_CODECS)]) + varint(int(symbols[0]))
        return len(alike), lambda: alike
    options = _integers.candidates(symbols)

    def run() -> bytes:
        name, payload = _integers.smallest(options)
        return head + bytes([_CODECS.index(name)]) + payload

    return len(head) + 1 + min(option[0] for option in options), run


def bernoulli(flat: np.ndarray) -> bytes:
    r"""Encodes a mask with one density: \(n H_2(k / n)\) bits and the count \(k\)."""
    kept = int(flat.sum())
    coder = _coder()
    coder.encode_reverse(flat.astype(np.int32), _ans.model(np.array([flat.size - kept, kept])))
    return varint(kept) + _ans.stack_bytes(coder)


def from_bernoulli(data: Buffer, out: np.ndarray, budget: Budget) -> None:
    """Inverse of `bernoulli`: fills the booleans `[n]`."""
    reader = Reader(data)
    kept = reader.varint(out.size)
    if not 0 < kept < out.size:
        raise ArtifactError(f"a mask of {out.size} claims {kept} kept entries; the file is damaged")
    coder, start = _ans.stack(reader.rest()), 0
    for bits in _ans.symbols(coder, _ans.model(np.array([out.size - kept, kept])), out.size, budget):
        out[start : start + bits.size] = bits
        start += bits.size
    _ans.close(coder)
    if np.count_nonzero(out) != kept:
        raise ArtifactError("a mask does not keep as many entries as it claims; the file is damaged")


def _coder() -> _ans.constriction.stream.stack.AnsCoder:
    return _ans.constriction.stream.stack.AnsCoder()
