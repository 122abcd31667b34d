"""The rate of codes: contexts for the estimate of training, and its gap to the file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from compressjax.coding import Manifest, _context
from compressjax.coding import _ledger as ledgers


class RateGap(NamedTuple):
    """An estimate of the bits of a leaf's codes against the file.

    Attributes:
        path: Value path of the leaf; `"total"` for the sum.
        estimate_bits: Given estimate.
        file_bits: Bits of the integer arrays of the leaf in the file.
        gap: `estimate_bits / file_bits - 1`.
    """

    path: str
    estimate_bits: float
    file_bits: int
    gap: float

    def __str__(self) -> str:
        return f"{self.path}: {self.estimate_bits:.0f} bits estimated, {self.file_bits} in the file ({self.gap:+.2%})"


def rate_gaps(estimates: Mapping[str, ArrayLike], manifest: Manifest) -> list[RateGap]:
    """Returns how far estimates of the bits of codes are from a file, with their sum.

    .. math:: \\text{gap} = \\frac{\\hat R}{R} - 1

    Args:
        estimates: `{path: bits}`, from `share.code_bits`.
        manifest: Result of `artifact.save` or `artifact.inspect`.

    Returns:
        One row per estimate, then `"total"`; print them.

    Raises:
        ValueError: If there is no estimate, or the file has no codes at a path.

    Example:
        >>> from compressjax import coding
        >>> codes = np.random.default_rng(0).integers(0, 7, 4096, dtype=np.uint8)
        >>> book = {"node": "Codebook", "meta": {}, "fields": {"centroids": np.ones(7, np.float32), "codes": codes}}
        >>> entropy = -4096 * sum(p * np.log2(p) for p in np.bincount(codes) / 4096 if p)
        >>> abs(rate_gaps({"w": entropy}, coding.loads(coding.dumps({"w": book})).manifest)[-1].gap) < 0.02
        True
    """
    rows = []
    for path, bits in estimates.items():
        structure = manifest.structures.get(path)
        sizes = [array[3] for array in ledgers.arrays(structure) if array[1].lstrip("u").startswith("int")]
        if not sum(sizes):
            raise ValueError(
                f"rate_gaps: the file has no codes at {path!r}; its leaves are {list(manifest.structures)[:8]}"
            )
        rows.append((path, float(np.asarray(bits)), 8 * sum(sizes)))
    if not rows:
        raise ValueError("rate_gaps: give at least one estimate")
    rows.append(("total", sum(row[1] for row in rows), sum(row[2] for row in rows)))
    return [RateGap(path, bits, size, bits / size - 1) for path, bits, size in rows]


def code_contexts(codes: ArrayLike) -> np.ndarray:
    """Returns the level in which the `context` codec of files codes every entry.

    .. math:: g_{ij} = \\lfloor 2 \\log_2 (\\rho_i \\gamma_j) \\rceil + 8 \\in [0, 15]

    with the mean distance from the most frequent code so far in the row, and in the column, over that of all.

    Args:
        codes: Integers `[*shape]`, at least two axes, fewer than 256 different ones.

    Returns:
        uint8 `[*shape]`; the columns are the last axis.

    Raises:
        ValueError: If the array has fewer than two axes, no entries, or more than 256 codes.

    Example:
        >>> code_contexts(np.zeros((2, 3), np.uint8)).tolist()
        [[8, 8, 8], [8, 8, 8]]
    """
    array = np.asarray(codes)
    if array.ndim < 2 or not array.size or array.dtype.kind not in "iu" or np.ptp(array) >= _context.ALPHABET:
        raise ValueError(
            f"code_contexts: {array.dtype.name} {array.shape}: give integers of at least two axes and 256 codes"
        )
    matrix = (array - array.min()).astype(np.int32).reshape(-1, array.shape[-1])
    center, alphabet = int(np.bincount(matrix.reshape(-1)).argmax()), int(matrix.max()) + 1
    out = np.zeros(matrix.shape, np.uint8)

    def coder(part: _context.Part, weights: Iterator[np.ndarray]) -> np.ndarray:
        del weights
        levels = np.empty(part.order.size, np.uint8)
        levels[part.order] = np.repeat(np.array(part.levels, np.uint8), np.diff([0, *part.ends]))
        block = slice(part.start, part.stop), slice(part.left, part.right)
        out[block] = levels.reshape(part.stop - part.start, -1)
        return matrix[block].reshape(-1)[part.order]

    for _ in _context.walk(matrix.shape[0], matrix.shape[1], alphabet, center, coder):
        pass
    return out.reshape(array.shape)
