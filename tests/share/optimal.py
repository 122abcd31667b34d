"""Exact one-dimensional k-means, as a reference for Lloyd's iteration."""

import itertools
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray


def optimal(values: ArrayLike, clusters: int) -> tuple[NDArray[np.float64], float]:
    """Returns centroids with the minimum squared error, by dynamic programming over the sorted values.

    .. math:: D_k(j) = \\min_{i \\le j} D_{k-1}(i) + \\sum_{i \\le l < j} (x_l - \\bar x_{i..j})^2

    Runs on the host, in `k n log n` steps, for up to about ten thousand values.

    Source: Groenlund et al., arXiv:1701.07204 (gronlund2017).
    """
    x = np.sort(np.asarray(values, np.float64).ravel())
    if clusters < 1 or x.size == 0:
        raise ValueError(f"optimal: needs values and clusters >= 1; it got {x.size} values and clusters={clusters}")
    k = min(clusters, x.size)
    # Centered sums lose fewer digits in the difference of squares below.
    centered = x - x.mean()
    first = np.concatenate([[0.0], np.cumsum(centered)])
    second = np.concatenate([[0.0], np.cumsum(centered**2)])

    def cost(i: NDArray[np.int64], j: int) -> NDArray[np.float64]:
        return second[j] - second[i] - (first[j] - first[i]) ** 2 / np.maximum(j - i, 1)

    best = np.array([cost(np.array([0]), j)[0] for j in range(x.size + 1)])
    cuts = [np.zeros(x.size + 1, np.int64)]
    for _ in range(1, k):
        best, cut = _layer(best, cost)
        cuts.append(cut)
    edges = [x.size]
    for cut in reversed(cuts):
        edges.append(int(cut[edges[-1]]))
    edges = sorted(set(edges))
    groups = [x[i:j] for i, j in itertools.pairwise(edges)]
    return np.array([g.mean() for g in groups]), float(sum(((g - g.mean()) ** 2).sum() for g in groups))


def _layer(
    previous: NDArray[np.float64], cost: Callable[[NDArray[np.int64], int], NDArray[np.float64]]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Adds one cluster: the best start of the last cluster for every j, by divide and conquer."""
    size = len(previous)
    best, cut = np.zeros(size), np.zeros(size, np.int64)
    jobs = [(0, size - 1, 0, size - 1)]
    while jobs:
        low, high, left, right = jobs.pop()
        if low > high:
            continue
        j = (low + high) // 2
        starts = np.arange(left, min(right, j) + 1)
        totals = previous[starts] + cost(starts, j)
        at = int(np.argmin(totals))
        best[j], cut[j] = totals[at], starts[at]
        jobs += [(low, j - 1, left, int(starts[at])), (j + 1, high, int(starts[at]), right)]
    return best, cut
