r"""Adaptive coding of integers by context: how far the entries of the same row and column were from the center so far.

An array is a matrix of rows and columns, coded in groups of rows that grow, and within a group in segments of columns.
The context of an entry is a level of \(\log_2 (\rho_i \gamma_j)\), where \(\rho_i\) and \(\gamma_j\) are the mean
distances from the center so far in its row and its column, over that of all. Every level counts its own symbols; what
it has not seen it borrows from the levels beside it, and from all. Reader and writer count alike, in integers, so no
table is stored: the payload is the columns, the center, and the words.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from compressjax.coding import _ans
from compressjax.coding._bits import Buffer, Reader, unzigzag, varint, zigzag
from compressjax.coding._errors import ArtifactError
from compressjax.coding._integers import Candidate, check_span, shifted
from compressjax.coding._limits import BLOCK, Budget

ALPHABET = 256
SMALLEST = 2048  # entries; below, what adapts has learned too little
_LEVELS = 16  # half octaves of the expected distance
_FIRST = 256  # entries of the first group of rows; later ones have half of all before, up to a block
_SEGMENTS = (8, 2)  # the first columns of a row are coded without knowledge of it
_PRIOR = 8  # entries of mean distance that every row and column is assumed to have had
_UNIT = 32  # weight of one count
_SAMPLE = 1 << 16
_DAMAGED = "the file is damaged"
# Quarter octaves between 1 and 2. Only products, quotients and comparisons of doubles follow, exact on every machine.
_EDGES = np.array([1.0905077326652577, 1.2968395546510096, 1.5422108254079407, 1.8340080864093424])

Coder = Callable[["Part", Iterator[np.ndarray]], np.ndarray]


class Part(NamedTuple):
    """Entries that are coded together: rows from `start` to `stop` and columns from `left` to `right`, by level."""

    start: int
    stop: int
    left: int
    right: int
    order: np.ndarray
    ends: list[int]
    levels: list[int]


class Counts:
    """Counts of symbols by level, and the integer weights that follow from them."""

    def __init__(self, alphabet: int) -> None:
        self._counts = np.zeros((_LEVELS + 2, alphabet), np.int64)  # with an empty level on both sides

    def add(self, symbols: np.ndarray, level: int) -> None:
        """Counts symbols of a level."""
        self._counts[level + 1] += np.bincount(symbols, minlength=self._counts.shape[1])

    def weights(self, level: int) -> np.ndarray:
        """Integer weights of the symbols in a level, all positive."""
        total = self._counts.sum(0)
        own, near = self._counts[level + 1], self._counts[level] + self._counts[level + 2]
        common = _PRIOR * _UNIT * total // max(1, int(total.sum())) + 1
        prior = _PRIOR * (_UNIT * near + common) // (int(near.sum()) + _PRIOR) + 1
        return _UNIT * own + prior


def groups(rows: int, columns: int) -> Iterator[tuple[int, int]]:
    """First and last row of every group."""
    start = 0
    while start < rows:
        wanted = min(max(_FIRST, start * columns // 2), BLOCK)
        stop = min(rows, start + max(1, wanted // columns))
        yield start, stop
        start = stop


def walk(rows: int, columns: int, alphabet: int, center: int, coder: Coder) -> Iterator[np.ndarray]:
    """Runs the model over a matrix and yields every group of rows.

    `coder(part, weights)` gives the symbols of a part in its order, where `weights` are those of its levels, in turn.
    """
    counts = Counts(alphabet)
    far, edges = np.zeros(columns), [0, *(columns // part for part in _SEGMENTS), columns]
    for start, stop in groups(rows, columns):
        block, near = np.empty((stop - start, columns), np.int16), np.zeros(stop - start)
        total = far.sum()
        by_column = _quarters(far, start, total / columns)
        for left, right in zip(edges, edges[1:], strict=False):
            if left == right:
                continue
            by_row = _quarters(near, left, total / max(start * columns, 1) * left)
            part = _part(start, stop, left, right, np.add.outer(by_row, by_column[left:right]))
            found = coder(part, map(counts.weights, part.levels))
            for level, first, last in zip(part.levels, [0, *part.ends], part.ends, strict=False):
                counts.add(found[first:last], level)
            flat = np.empty(found.size, np.int16)
            flat[part.order] = found
            block[:, left:right] = flat.reshape(stop - start, right - left)
            near += np.abs(block[:, left:right] - np.int16(center)).sum(1, np.int32)
        far += np.abs(block - np.int16(center)).sum(0, np.int32)
        yield block


def _part(start: int, stop: int, left: int, right: int, quarters: np.ndarray) -> Part:
    levels = (np.clip(quarters >> 1, -_LEVELS // 2, _LEVELS // 2 - 1) + _LEVELS // 2).astype(np.uint8).reshape(-1)
    sizes = np.bincount(levels, minlength=_LEVELS)
    used = np.flatnonzero(sizes)
    order = np.argsort(levels, kind="stable")
    return Part(start, stop, left, right, order, np.cumsum(sizes[used]).tolist(), used.tolist())


def _quarters(sums: np.ndarray, seen: float, mean: float) -> np.ndarray:
    """Quarter octaves of sums of distances over `mean`, the sum of an average line that was seen as far."""
    if not mean:
        return np.zeros(sums.shape, np.int16)
    prior = _PRIOR * (mean / seen)
    part, exponent = np.frexp((sums + prior) / (mean + prior))
    return (4 * (exponent - 1) + np.searchsorted(_EDGES, 2 * part)).astype(np.int16)


def candidates(values: np.ndarray) -> list[Candidate]:
    """Estimated size and encoder of the best split of an array into rows and columns; none where it cannot pay."""
    low, high = int(values.min()), int(values.max())
    if values.size < SMALLEST or not 0 < high - low < ALPHABET:
        return []
    numbers = values.view(np.uint8) if values.dtype.kind == "b" else values
    codes = (numbers.reshape(-1) - numbers.dtype.type(low)).astype(np.uint8).astype(np.int32)
    alphabet, center = high - low + 1, int(_ans.histogram(codes, high - low + 1).argmax())
    sizes = {math.prod(values.shape[axis:]) for axis in range(1, values.ndim)}
    tried = [
        (_sample_bits(codes[: max(_SAMPLE // columns, 1) * columns], columns, alphabet, center) * codes.size, columns)
        for columns in sorted(sizes)
        if 1 < columns <= BLOCK and columns < codes.size
    ]
    if not tried:
        return []
    bits, columns = min(tried)
    head = varint(zigzag(low)) + varint(high - low) + varint(columns) + varint(center)
    return [(len(head) + 4 + bits / 8, "context", lambda: head + encode(codes, columns, alphabet, center))]


def encode(codes: np.ndarray, columns: int, alphabet: int, center: int) -> bytes:
    """Words of int32 codes `[n]`."""
    steps: list[tuple[np.ndarray, np.ndarray]] = []
    matrix = codes.reshape(-1, columns)

    def coder(part: Part, weights: Iterator[np.ndarray]) -> np.ndarray:
        symbols = matrix[part.start : part.stop, part.left : part.right].reshape(-1)[part.order]
        for first, last, model in zip([0, *part.ends], part.ends, weights, strict=False):
            steps.append((symbols[first:last], model))
        return symbols

    for _ in walk(*matrix.shape, alphabet, center, coder):
        pass
    stack = _ans.constriction.stream.stack.AnsCoder()
    for symbols, model in reversed(steps):  # the coder is a stack
        stack.encode_reverse(symbols, _ans.model(model))
    return _ans.stack_bytes(stack)


def decode(data: Buffer, dtype: np.dtype, count: int, budget: Budget) -> Iterator[np.ndarray]:
    """Inverse of `candidates`: entries of type `dtype`, in groups of rows."""
    reader = Reader(data)
    low, spread = unzigzag(reader.varint(2**65)), reader.varint(ALPHABET - 1)
    columns, center = reader.varint(BLOCK), reader.varint(ALPHABET - 1)
    check_span(low, spread, dtype)
    if not spread or columns < 2 or count % columns or center > spread:
        raise ArtifactError(f"{count} entries in {columns} columns around code {center} of {spread + 1}; {_DAMAGED}")
    stack = _ans.stack(reader.rest())

    def coder(part: Part, weights: Iterator[np.ndarray]) -> np.ndarray:
        found = np.empty(part.order.size, np.int32)
        budget.work(4 * found.size + len(part.ends) * (256 + 16 * spread))
        for first, last, model in zip([0, *part.ends], part.ends, weights, strict=False):
            found[first:last] = stack.decode(_ans.model(model), last - first)
        return found

    for block in walk(count // columns, columns, spread + 1, center, coder):
        yield shifted(block.reshape(-1), low, dtype)
    _ans.close(stack)


def _sample_bits(codes: np.ndarray, columns: int, alphabet: int, center: int) -> float:
    """Bits an entry under the model, of the first entries."""
    total, matrix = 0.0, codes.reshape(-1, columns)

    def coder(part: Part, weights: Iterator[np.ndarray]) -> np.ndarray:
        nonlocal total
        symbols = matrix[part.start : part.stop, part.left : part.right].reshape(-1)[part.order]
        for first, last, model in zip([0, *part.ends], part.ends, weights, strict=False):
            found = np.bincount(symbols[first:last], minlength=alphabet)
            total -= float((found * np.log2(model / model.sum())).sum())
        return symbols

    for _ in walk(*matrix.shape, alphabet, center, coder):
        pass
    return total / codes.size
