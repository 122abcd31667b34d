"""A mask codec with classes of rows and columns, and a density per pair of classes.

The density of masks of trained networks varies: constant inputs lose all their weights, while some units keep many. A
class costs a few bits per row. The bits of a cell (row class, column class) then cost the entropy of its density.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from compressjax.coding import _ans, _table
from compressjax.coding._bits import Buffer, Reader, varint
from compressjax.coding._errors import ArtifactError
from compressjax.coding._limits import BLOCK, Budget

CLASSES = (1, 2, 3, 4, 6, 8, 12, 16)
_BINS = 96
_MIDDLE, _EMPTY, _FULL = 64, 0, 127
_STEPS = 4


def encode(mask: np.ndarray) -> bytes | None:
    """Shortest encoding over the splits of the axes into rows and columns; None if there is no useful split."""
    best = None
    for axes in _splits(mask.ndim):
        matrix = _matrix(mask, axes)
        if 1 in matrix.shape or matrix.size < 64:
            continue
        head = bytes([len(axes), *axes])
        payload = head + _encode(matrix, _plan(matrix))
        if best is None or len(payload) < len(best):
            best = payload
    return best


def decode(data: Buffer, out: np.ndarray, shape: tuple[int, ...], budget: Budget) -> None:
    """Inverse of `encode`: fills the booleans `[n]` of a mask of shape `shape`."""
    reader = Reader(data)
    axes = tuple(reader.take(reader.take(1)[0]))
    if axes not in _splits(len(shape)):
        raise ArtifactError(f"mask rows over axes {axes} of a mask of {len(shape)} axes; the file is damaged")
    rest = tuple(axis for axis in range(len(shape)) if axis not in axes)
    height, width = (math.prod(shape[a] for a in part) for part in (axes, rest))
    if 1 in (height, width):
        raise ArtifactError(f"mask rows of {height} by {width} entries; the file is damaged")
    row_classes, column_classes = reader.take(1)[0], reader.take(1)[0]
    if not 1 <= row_classes <= 16 or not 1 <= column_classes <= 16:
        raise ArtifactError(f"{row_classes} by {column_classes} mask classes; the file is damaged")
    budget.work(row_classes * column_classes * (16 + (height + width) // 8))
    densities = _table.decode(reader, row_classes * column_classes)
    if densities.max() > _FULL:
        raise ArtifactError("a mask density is out of range; the file is damaged")
    rows = _read_classes(reader, row_classes, height, budget)
    columns = _read_classes(reader, column_classes, width, budget)
    coder = _ans.stack(reader.rest())
    moved = axes != tuple(range(len(axes)))
    with budget.held(out.size if moved else 0, "the mask before its axes are moved"):
        matrix = np.empty((height, width), bool) if moved else out.reshape(height, width)
        for (row, column), density in zip(np.ndindex(row_classes, column_classes), densities.tolist(), strict=True):
            coded = None if density in (_EMPTY, _FULL) else _ans.model(_odds(density))
            for cell in _parts(rows, row, columns, column):
                size = cell[0].size * cell[1].size
                budget.work(size if coded else size // 8)
                bits = coder.decode(coded, size).astype(bool) if coded else np.full(size, density == _FULL)
                matrix[cell] = bits.reshape(cell[0].size, cell[1].size)
        _ans.close(coder)
        if moved:
            back = np.argsort(axes + rest)
            out.reshape(shape)[...] = matrix.reshape([shape[a] for a in axes + rest]).transpose(back)


def _parts(rows: np.ndarray, row: int, columns: np.ndarray, column: int) -> Iterator[tuple[np.ndarray, ...]]:
    """Indices of the cell of two classes, in its order, in parts of at most about `BLOCK` entries."""
    if columns.size > BLOCK:
        for place in range(rows.size):
            if rows[place] == row:
                yield from (np.ix_(np.array([place]), across) for across in _places(columns, column))
        return
    for across in _places(columns, column):
        step = BLOCK // across.size
        for down in _places(rows, row):
            for first in range(0, down.size, step):
                yield np.ix_(down[first : first + step], across)


def _places(classes: np.ndarray, wanted: int) -> Iterator[np.ndarray]:
    """Places of a class, in blocks."""
    for start in range(0, classes.size, BLOCK):
        found = np.flatnonzero(classes[start : start + BLOCK] == wanted)
        if found.size:
            yield start + found


def _splits(ndim: int) -> list[tuple[int, ...]]:
    """Sets of axes that form the rows: every leading group, and every single axis."""
    leading = [tuple(range(stop)) for stop in range(1, ndim)]
    return leading + [(axis,) for axis in range(1, ndim - 1)]


def _matrix(mask: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    rest = tuple(axis for axis in range(mask.ndim) if axis not in axes)
    return np.ascontiguousarray(mask.transpose(axes + rest)).reshape(math.prod(mask.shape[a] for a in axes), -1)


def _plan(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Row classes, column classes and cell densities with the fewest estimated bits."""
    rows = _partitions(matrix.sum(1), matrix.shape[1])
    columns = _partitions(matrix.sum(0), matrix.shape[0])
    plans = []
    for row_class, row_bits in rows:
        kept = np.stack([matrix[row_class == c].sum(0) for c in range(row_class.max() + 1)])
        height = np.bincount(row_class)
        for column_class, column_bits in columns:
            width = np.bincount(column_class)
            ones = np.stack([kept[:, column_class == c].sum(1) for c in range(width.size)], 1)
            total = height[:, None] * width
            density = _quantize(ones, total)
            bits = row_bits + column_bits + _cell_bits(ones, total, density) + 5 * density.size
            plans.append((bits, row_class, column_class, density))
    return min(plans, key=lambda plan: plan[0])[1:]


def _partitions(kept: np.ndarray, width: int) -> list[tuple[np.ndarray, float]]:
    """For each number of classes: the class of every line, and the bits to store it.

    A dynamic program splits the lines, sorted by their number of kept entries, so that the sum of binary entropies is
    smallest, over at most `_BINS` candidate splits.
    """
    levels, level_of, lines = np.unique(kept, return_inverse=True, return_counts=True)
    bin_of = (
        np.minimum(np.cumsum(lines) * _BINS // (kept.size + 1), _BINS - 1)
        if levels.size > _BINS
        else np.arange(levels.size)
    )
    _, bin_of = np.unique(bin_of, return_inverse=True)
    count = np.concatenate([[0], np.cumsum(np.bincount(bin_of, lines))])
    ones = np.concatenate([[0], np.cumsum(np.bincount(bin_of, lines * levels))])
    cost = _entropy_bits(ones[None] - ones[:, None], (count[None] - count[:, None]) * width)
    cost[np.tril_indices(cost.shape[0])] = np.inf
    out, best, cuts = [], cost[0], []
    for classes in range(1, min(CLASSES[-1], count.size - 1) + 1):
        if classes > 1:
            through = best[:, None] + cost
            cuts.append(through.argmin(0))
            best = through.min(0)
        if classes in CLASSES:
            edges = [count.size - 1]
            for cut in reversed(cuts):
                edges.append(int(cut[edges[-1]]))
            class_of_bin = np.searchsorted(edges[:0:-1], np.arange(count.size - 1), side="right")
            line_class = class_of_bin[bin_of][level_of]
            share = np.bincount(line_class) / kept.size
            out.append((line_class, float(-(share * np.log2(share)).sum() * kept.size) + 6 * share.size))
    return out


def _entropy_bits(ones: np.ndarray, total: np.ndarray) -> np.ndarray:
    total = np.maximum(total, 1)
    p = np.clip(ones / total, 1e-12, 1 - 1e-12)
    return -total * (p * np.log2(p) + (1 - p) * np.log2(1 - p))


def _quantize(ones: np.ndarray, total: np.ndarray) -> np.ndarray:
    """Density levels: odds in quarter octaves around `_MIDDLE`, and exact levels for empty and full cells."""
    odds = np.log2(np.maximum(ones, 0.25) / np.maximum(total - ones, 0.25))
    level = np.clip(np.rint(odds * _STEPS), -63, 62).astype(np.int64) + _MIDDLE
    return np.where(ones == 0, _EMPTY, np.where(ones == total, _FULL, level))


def _odds(level: int) -> np.ndarray:
    """Integer weights (removed, kept) of a density level."""
    distance = abs(level - _MIDDLE)
    pair = _ans.weights(np.array([0, distance]), _STEPS)
    return pair if level <= _MIDDLE else pair[::-1]


def _cell_bits(ones: np.ndarray, total: np.ndarray, level: np.ndarray) -> float:
    distance = np.exp2((level - _MIDDLE) / _STEPS)
    bits = ones * np.log2(1 + 1 / distance) + (total - ones) * np.log2(1 + distance)
    return float(bits[(level != _EMPTY) & (level != _FULL)].sum())


def _encode(matrix: np.ndarray, planned: tuple[np.ndarray, np.ndarray, np.ndarray]) -> bytes:
    rows, columns, densities = planned
    coder = _ans.constriction.stream.stack.AnsCoder()
    for row, column in reversed(list(np.ndindex(densities.shape))):  # the coder is a stack
        level = int(densities[row, column])
        if level not in (_EMPTY, _FULL):
            bits = matrix[np.ix_(rows == row, columns == column)].astype(np.int32).reshape(-1)
            coder.encode_reverse(bits, _ans.model(_odds(level)))
    return (
        bytes(densities.shape)
        + _table.encode(densities.reshape(-1))
        + _write_classes(rows, densities.shape[0])
        + _write_classes(columns, densities.shape[1])
        + _ans.stack_bytes(coder)
    )


def _write_classes(classes: np.ndarray, alphabet: int) -> bytes:
    if alphabet == 1:
        return b""
    payload = _ans.encode(classes.astype(np.int32), _ans.plan(np.bincount(classes, minlength=alphabet)))
    return varint(len(payload)) + payload


def _read_classes(reader: Reader, alphabet: int, count: int, budget: Budget) -> np.ndarray:
    out, start = np.zeros(count, np.uint8), 0
    if alphabet > 1:
        for classes in _ans.decode(Reader(reader.take(reader.varint())), alphabet, count, budget):
            out[start : start + classes.size] = classes
            start += classes.size
    return out
