"""Signal-to-quantization-noise ratio."""

import math
from typing import Any

import numpy as np

from compressjax.core import dense, nodes
from compressjax.core._tree import is_value


def sqnr(original: Any, compressed: Any) -> dict[str, float]:
    """Returns the signal-to-quantization-noise ratio of every floating-point leaf, in decibels.

    .. math:: 10 \\log_{10} \\frac{\\sum_i w_i^2}{\\sum_i (w_i - \\hat w_i)^2}

    Args:
        original: Tree of arrays and nodes.
        compressed: Tree of arrays and nodes with the same leaves.

    Returns:
        `{path: dB}`: infinite if nothing changed, minus infinity if the original is zero. A uniform grid gives about
        6 dB per bit; pruning gives `-10 log10` of the fraction of removed energy.

    Raises:
        ValueError: If the trees differ in paths or shapes.

    Example:
        >>> sqnr({"a": np.array([3.0, 4.0])}, {"a": np.array([3.0, 3.5])})
        {'a': 20.0}
    """
    before, after = ({p: x for p, x in nodes(tree).items() if is_value(x)} for tree in (original, compressed))
    if before.keys() != after.keys():
        raise ValueError(f"the trees differ at {sorted(before.keys() ^ after.keys())}; give two forms of one model")
    return {path: _decibels(path, x, after[path]) for path, x in before.items()}


def _decibels(path: str, original: Any, compressed: Any) -> float:
    w, v = (np.asarray(dense(x), np.float64) for x in (original, compressed))
    if w.shape != v.shape:
        raise ValueError(f"{path!r} has shape {w.shape} before and {v.shape} after; give two forms of one model")
    signal, noise = float(np.square(w).sum()), float(np.square(w - v).sum())
    if noise == 0:
        return math.inf
    return 10 * math.log10(signal / noise) if signal else -math.inf
