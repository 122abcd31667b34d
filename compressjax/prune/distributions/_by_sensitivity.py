"""A distribution of zeros from measured curves: sensitive leaves keep more weights."""

import re
from collections.abc import Mapping, Sequence

import numpy as np

from compressjax.prune.patterns._checks import check_sparsity


def by_sensitivity(
    sparsities: Sequence[float],
    losses: Mapping[str, Sequence[float]],
    sizes: Mapping[str, int],
    sparsity: float,
    *,
    base: float | None = None,
) -> dict[str, float]:
    """Returns the sparsity of each leaf that minimizes the summed loss increase, assuming that leaves do not interact.

    .. math:: \\min_{s_l} \\sum_l L_l(s_l) \\;\\text{ s.t. }\\; \\sum_l s_l N_l = s \\sum_l N_l

    over the lower convex hulls of the curves. The solution is exact: it takes the segments with the least loss per
    removed weight first. The result has the bytes of any mask of the same sparsity; no speed-up.

    Args:
        sparsities: Sparsities of the curves, ascending, in [0, 1).
        losses: `{path: [sparsities]}`, as `measure.sensitivity` (one evaluation per leaf and sparsity) or
            `measure.estimated_sensitivity` (one backward pass per example) return; a falling curve counts as flat.
        sizes: `{path: entries}`.
        sparsity: Fraction of zeros over all leaves, in [0, 1).
        base: Loss without zeros; required unless the curves begin at sparsity 0.

    Returns:
        `{pattern: sparsity}`, a `distribution` for `gradual`, `magnitude` and `one_shot`; each pattern matches one
            path.

    Raises:
        ValueError: If a sparsity is out of range, or the `sparsities` do not ascend from 0 to at least `sparsity`.

    Example:
        >>> by_sensitivity((0.0, 0.5), {"a": (1.0, 1.0), "b": (1.0, 3.0)}, {"a": 10, "b": 10}, 0.25)
        {'a': 0.5, 'b': 0.0}

    Source: sensitivity scans: Han et al., arXiv:1506.02626 (han2015); the optimization is greedy, for convex costs.
    """
    check_sparsity(sparsity, "sparsity")
    grid = np.asarray(sparsities, np.float64)
    if base is not None and grid.size and grid[0] > 0:
        grid, losses = np.concatenate([[0.0], grid]), {path: [base, *curve] for path, curve in losses.items()}
    if not grid.size or grid[0] != 0 or (np.diff(grid) <= 0).any() or grid[-1] >= 1:
        raise ValueError(f"sparsities={tuple(sparsities)} must ascend from 0 (or give base=) and stay below 1")
    if strange := sorted(path for path, curve in losses.items() if np.isnan(np.asarray(curve, np.float64)).any()):
        raise ValueError(f"by_sensitivity: the losses of {strange[:8]} are NaN, so they rank nothing; fix weights or "
                         "the data that the losses were measured on")  # fmt: skip
    total = sum(sizes[path] for path in losses)
    if sparsity > grid[-1] + 1e-12:
        raise ValueError(f"sparsity={sparsity} exceeds the end of the curves, {grid[-1]:g}; measure higher sparsities")
    segments = [
        (slope / sizes[path], path, width * sizes[path])
        for path, curve in losses.items()
        for slope, width in _hull(grid, np.maximum.accumulate(np.asarray(curve, np.float64)))
    ]
    removed, left = dict.fromkeys(losses, 0.0), sparsity * total
    for _, path, weights in sorted(segments, key=lambda s: s[0]):
        taken = min(weights, left)
        removed[path] += taken
        left -= taken
    return {re.escape(path): round(min(removed[path] / sizes[path], float(grid[-1])), 12) for path in losses}


def _hull(x: np.ndarray, y: np.ndarray) -> list[tuple[float, float]]:
    """Slopes and widths of the lower convex hull, slopes ascending."""
    hull: list[int] = []
    for i in range(len(x)):
        while len(hull) > 1:
            a, b = hull[-2:]
            if (y[b] - y[a]) * (x[i] - x[a]) < (y[i] - y[a]) * (x[b] - x[a]):
                break
            hull.pop()
        hull.append(i)
    return [(float((y[b] - y[a]) / (x[b] - x[a])), float(x[b] - x[a])) for a, b in zip(hull, hull[1:])]
