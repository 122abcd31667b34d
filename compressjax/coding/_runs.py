"""A mask codec for long runs: lengths of alternating runs, as classes of their bit lengths and the bits below.

The payload is a byte (the first bit, and the codec of the classes), the varint number of runs, the varint length of the
coded classes and these, then the bits of every length minus one below its highest, most significant first.
"""

from __future__ import annotations

import functools

import numpy as np

from compressjax.coding import _integers
from compressjax.coding._bits import Buffer, Reader, varint
from compressjax.coding._errors import ArtifactError
from compressjax.coding._limits import Budget

_CODECS = ("packed", "huffman", "ans")
_ALIKE = len(_CODECS)  # all classes are one, which follows as a byte
_DAMAGED = "the file is damaged"


def candidate(flat: np.ndarray) -> _integers.Candidate | None:
    """Estimated size and encoder for booleans `[n]`; None for a mask of one run."""
    edges = np.flatnonzero(flat[1:] != flat[:-1])
    if not edges.size:
        return None
    more = np.diff(edges, prepend=-1, append=flat.size - 1) - 1
    classes = np.frexp(more)[1].astype(np.uint8)  # exact: the bit length of an integer below 2 ** 53
    extra = int(np.maximum(classes.astype(np.int64) - 1, 0).sum())
    head, options = 8, _integers.candidates(classes) if classes.min() < classes.max() else []
    size = head + extra / 8 + min((option[0] for option in options), default=1)
    return size, "runs", functools.partial(_encode, bool(flat[0]), more, classes, options)


def _encode(first: bool, more: np.ndarray, classes: np.ndarray, options: list[_integers.Candidate]) -> bytes:
    name, payload = _integers.smallest(options) if options else ("", bytes([classes[0]]))
    codec = _CODECS.index(name) if options else _ALIKE
    widths = np.maximum(classes.astype(np.int64) - 1, 0)
    ends = np.cumsum(widths)
    bits = np.zeros(int(ends[-1]), np.uint8)
    for place in range(int(widths.max())):
        there = widths > place
        bits[ends[there] - 1 - place] = (more[there] >> place) & 1
    head = bytes([codec * 2 + first]) + varint(more.size) + varint(len(payload))
    return head + payload + np.packbits(bits).tobytes()


def decode(data: Buffer, out: np.ndarray, budget: Budget) -> None:
    """Inverse of `candidate`: fills the booleans `[n]`."""
    reader = Reader(data)
    head = reader.take(1)[0]
    first, codec = head & 1, head >> 1
    count = reader.varint(out.size)
    if codec > _ALIKE or count < 2:
        raise ArtifactError(f"{count} runs by code {codec}; {_DAMAGED}")
    with budget.held(24 * count, "the runs of a mask"):
        budget.work(4 * count)
        coded = reader.take(reader.varint())
        classes = _classes(coded, codec, count, budget)
        ends = np.cumsum(_lengths(classes, reader.rest(), budget))
        if int(ends[-1]) != out.size:
            raise ArtifactError(f"the runs of a mask of {out.size} have {int(ends[-1])} entries; {_DAMAGED}")
        marks = out.view(np.uint8)
        marks[:] = 0
        marks[0] = first
        marks[ends[:-1]] = 1
        np.bitwise_xor.accumulate(marks, out=marks)


def _classes(coded: Buffer, codec: int, count: int, budget: Budget) -> np.ndarray:
    if codec == _ALIKE:
        if len(coded) != 1:
            raise ArtifactError(f"the classes of runs take {len(coded)} bytes where one is enough; {_DAMAGED}")
        classes = np.full(count, coded[0], np.uint8)
    else:
        blocks = list(_integers.decode(_CODECS[codec], coded, np.dtype(np.uint8), count, budget))
        classes = np.concatenate(blocks)
    if int(classes.max()) > 48:
        raise ArtifactError(f"a run of 2^{int(classes.max())} entries is longer than an array; {_DAMAGED}")
    return classes


def _lengths(classes: np.ndarray, data: Buffer, budget: Budget) -> np.ndarray:
    """Lengths of the runs from their classes and the bits below the highest."""
    widths = np.maximum(classes.astype(np.int64) - 1, 0)
    ends = np.cumsum(widths)
    total = int(ends[-1])
    if len(data) != -(-total // 8):
        raise ArtifactError(f"{len(data)} bytes where the runs of a mask need {total} bits; {_DAMAGED}")
    with budget.held(total, "the bits of runs"):
        bits = np.unpackbits(np.frombuffer(data, np.uint8))
        if bits[total:].any():
            raise ArtifactError(f"padding bits after runs are not zero; {_DAMAGED}")
        more = (classes > 0).astype(np.int64)
        for place in range(int(widths.max())):
            there = widths > place
            more[there] = more[there] << 1 | bits[(ends - widths)[there] + place]
    return more + 1
