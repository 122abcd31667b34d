"""Codecs for masks: gaps between kept positions, and Bernoulli coding with one density."""

from __future__ import annotations

import numpy as np

from compressjax.coding import _ans, _integers
from compressjax.coding._bits import Reader, varint
from compressjax.coding._errors import ArtifactError

_CODECS = ("packed", "huffman", "ans")


def gaps(flat: np.ndarray) -> bytes:
    """Encodes gaps between kept positions, with fillers for gaps longer than the longest code.

    Each stream chooses the bit width of a gap. A filler skips positions and keeps none, so no filler weight is stored.

    Source: Han et al., 2016, Deep Compression, arXiv:1510.00149 [han2016deep].
    """
    distances = np.diff(np.flatnonzero(flat), prepend=-1) - 1
    typical = int(max(1.0, distances.mean())).bit_length()
    return min((_gaps(distances, width) for width in range(max(1, typical), typical + 4)), key=len)


def from_gaps(data: bytes, count: int) -> np.ndarray:
    """Inverse of `gaps`: booleans `[count]`."""
    reader = Reader(data)
    width, total = reader.take(1)[0], reader.varint(2 * count)
    name = reader.take(1)[0]
    if not 1 <= width <= 12 or name > len(_CODECS):
        raise ArtifactError(f"unknown gap code {width}, {name}; the file is damaged")
    if name == len(_CODECS):
        symbols = np.full(total, reader.varint(1 << width), np.int64)
    else:
        symbols = _integers.decode(_CODECS[name], reader.rest(), np.dtype(np.uint16), total).astype(np.int64)
    filler = (1 << width) - 1
    ends = np.cumsum(np.where(symbols >= filler, filler, symbols + 1)) - 1
    kept = ends[symbols < filler]
    if kept.size and kept[-1] >= count:
        raise ArtifactError(f"a kept position {kept[-1]} is outside its mask of {count}; the file is damaged")
    out = np.zeros(count, bool)
    out[kept] = True
    return out


def _gaps(distances: np.ndarray, width: int) -> bytes:
    filler = (1 << width) - 1
    fillers = distances // filler
    ends = np.cumsum(fillers + 1)
    symbols = np.full(int(ends[-1]), filler, np.uint16)
    symbols[ends - 1] = distances % filler
    head = bytes([width]) + varint(symbols.size)
    if symbols.min() == symbols.max():
        return head + bytes([len(_CODECS)]) + varint(int(symbols[0]))
    name, payload = _integers.smallest(_integers.candidates(symbols))
    return head + bytes([_CODECS.index(name)]) + payload


def bernoulli(flat: np.ndarray) -> bytes:
    r"""Encodes a mask with one density: \(n H_2(k / n)\) bits and the count \(k\)."""
    kept = int(flat.sum())
    coder = _coder()
    coder.encode_reverse(flat.astype(np.int32), _ans.model(np.array([flat.size - kept, kept])))
    return varint(kept) + _ans.stack_bytes(coder)


def from_bernoulli(data: bytes, count: int) -> np.ndarray:
    """Inverse of `bernoulli`: booleans `[count]`."""
    reader = Reader(data)
    kept = reader.varint(count)
    if not 0 < kept < count:
        raise ArtifactError(f"a mask of {count} claims {kept} kept entries; the file is damaged")
    coder = _ans.stack(reader.rest())
    flat = coder.decode(_ans.model(np.array([count - kept, kept])), count).astype(bool)
    _ans.close(coder)
    if int(flat.sum()) != kept:
        raise ArtifactError("a mask does not keep as many entries as it claims; the file is damaged")
    return flat


def _coder() -> _ans.constriction.stream.stack.AnsCoder:
    return _ans.constriction.stream.stack.AnsCoder()
