"""Mutual information from distances to nearest neighbors."""

import numpy as np
from scipy.spatial import cKDTree
from scipy.special import digamma


def two_numbers(x: np.ndarray, y: np.ndarray, k: int) -> float:
    """Information in nats between two numbers (Kraskov's first estimator), at least 0."""
    points = np.stack([x, y], axis=1)
    radius = np.nextafter(cKDTree(points).query(points, k + 1, p=np.inf)[0][:, -1], 0)
    near = [digamma(within(values, np.sort(values), radius)).mean() for values in (x, y)]
    return max(0.0, float(digamma(len(x)) + digamma(k) - near[0] - near[1]))


def number_and_class(x: np.ndarray, classes: np.ndarray, k: int) -> float:
    """Information in nats between a number and a class (Ross), at least 0; classes of one row are left out."""
    names, place, counts = np.unique(classes, return_inverse=True, return_counts=True)
    kept = counts[place] > 1
    if not kept.any():
        return 0.0
    radius, used = np.zeros(len(x)), np.minimum(k, counts - 1)
    for i in range(len(names)):
        if counts[i] > 1:
            radius[place == i] = _distances(x[place == i], int(used[i]))
    values, radius, place = x[kept], np.nextafter(radius[kept], 0), place[kept]
    near = digamma(within(values, np.sort(values), radius)).mean()
    return max(0.0, float(digamma(len(values)) + digamma(used[place]).mean() - digamma(counts[place]).mean() - near))


def within(x: np.ndarray, ordered: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """How many of some ordered values lie within a radius of each number.

    Sums round, so places that binary search finds are corrected by differences, which decide.
    """
    low, high = np.searchsorted(ordered, x - radius, "left"), np.searchsorted(ordered, x + radius, "right")
    last = len(ordered) - 1
    for _ in range(8):
        up = (high <= last) & (np.abs(ordered[np.minimum(high, last)] - x) <= radius)
        down = (high > 0) & (np.abs(ordered[np.maximum(high - 1, 0)] - x) > radius)
        left = (low > 0) & (np.abs(ordered[np.maximum(low - 1, 0)] - x) <= radius)
        right = (low <= last) & (np.abs(ordered[np.minimum(low, last)] - x) > radius)
        if not (up | down | left | right).any():
            break
        high, low = high + up - down, low - left + right
    return high - low


def _distances(values: np.ndarray, k: int) -> np.ndarray:
    """Distance of every number to its `k`-th neighbor: the least over the windows of `k + 1` ordered ones around it."""
    order = np.argsort(values, kind="stable")
    x = np.pad(values[order], k, constant_values=(-np.inf, np.inf))
    n, found = len(values), np.full(len(values), np.inf)
    middle = x[k : k + n]
    for before in range(k + 1):
        found = np.minimum(found, np.maximum(middle - x[k - before : k - before + n],
                                             x[2 * k - before : 2 * k - before + n] - middle))  # fmt: skip
    result = np.empty(n)
    result[order] = found
    return result
