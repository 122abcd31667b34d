"""Rank correlation."""

import numpy as np


def rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Returns Spearman's rank correlation; equal values share their mean rank.

    .. math:: \\rho = \\mathrm{corr}(\\mathrm{rank}(a), \\mathrm{rank}(b))
    """
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if a.shape != b.shape or a.ndim != 1:
        raise ValueError(f"ranks of {a.shape} and {b.shape} cannot be compared; give two vectors of one length")
    x, y = (_ranks(v) - (len(v) - 1) / 2 for v in (a, b))
    scale = np.sqrt(np.sum(x * x) * np.sum(y * y))
    return float(np.sum(x * y) / scale) if scale else float("nan")


def _ranks(x: np.ndarray) -> np.ndarray:
    _, where, counts = np.unique(x, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return (ends - (counts + 1) / 2)[where]
