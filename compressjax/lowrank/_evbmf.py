"""Ranks by variational Bayes: the global solution of matrix factorization with a known or an unknown noise."""

import math
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import minimize_scalar

from compressjax.core._settings import as_number

_TAU = 2.5129  # where the free energy of a component and that of none are equal, in units of the root of alpha
_GRID = 100


class Evbmf(NamedTuple):
    """What variational Bayes keeps of a matrix.

    Attributes:
        rank: Number of components above the noise.
        noise: Variance of the noise of an entry.
        values: `[rank]`, singular values shrunk by the noise in them.
    """

    rank: int
    noise: float
    values: np.ndarray


def evbmf(matrix: Any, noise: float | None = None) -> Evbmf:
    """Finds the rank of a matrix under noise, by the global solution of empirical variational Bayes.

    .. math:: \\sigma_h > \\sqrt{M s^2 (1 + \\bar\\tau)(1 + \\alpha / \\bar\\tau)}, \\quad
        \\bar\\tau = 2.5129 \\sqrt\\alpha, \\quad \\alpha = L / M

    for a matrix of sides `L <= M` with noise of variance `s^2`, which minimizes the free energy in one dimension.
    Nothing is iterated but that.

    Args:
        matrix: `[rows, columns]`, finite; or its singular values and shape, as `(values, (rows, columns))`.
        noise: Variance of the noise, above 0; None if it is not known.

    Returns:
        Rank, noise and shrunk values; the rank is 0 where nothing stands above the noise.

    Raises:
        ValueError: If it is no finite matrix with entries, or the noise is not above 0.

    Example:
        >>> draw = np.random.default_rng(0)
        >>> signal = draw.normal(size=(40, 3)) @ draw.normal(size=(3, 60))
        >>> evbmf(signal + 0.1 * draw.normal(size=(40, 60))).rank
        3

    Source: Nakajima et al., Global Analytic Solution of Fully-observed Variational Bayesian Matrix Factorization, 2013
    (nakajima2013); for ranks of layers, Kim et al., arXiv:1511.06530 (kim2015).
    """
    if noise is not None and not as_number("evbmf", "noise", noise) > 0:
        raise ValueError(f"evbmf: noise={noise} must be above 0, or None to estimate it")
    values: Any
    values, (short, long) = _singular(matrix)
    if not values.any():
        return Evbmf(0, noise or 0.0, values[:0])
    alpha = short / long
    tau = _TAU * math.sqrt(alpha)
    limit = (1 + tau) * (1 + alpha / tau)
    s2 = _noise(values, short, long, limit) if noise is None else float(noise)
    kept = values[values > math.sqrt(long * s2 * limit)]
    share = 1 - (short + long) * s2 / kept**2
    shrunk = kept / 2 * (share + np.sqrt(np.maximum(share**2 - 4 * short * long * s2**2 / kept**4, 0)))
    return Evbmf(len(kept), s2, shrunk)


def _singular(matrix: Any) -> tuple[Any, tuple[int, int]]:
    values: Any
    if isinstance(matrix, tuple):
        values, shape = np.asarray(matrix[0], np.float64), tuple(matrix[1])
    else:
        dense = np.asarray(matrix, np.float64)
        if dense.ndim != 2 or not dense.size or not np.isfinite(dense).all():
            raise ValueError(f"evbmf: an array of shape {dense.shape} is no finite matrix with entries")
        values, shape = np.linalg.svd(dense, compute_uv=False), dense.shape
    short, long = sorted(shape)
    return values[:short], (short, long)


def _noise(values: Any, short: int, long: int, limit: float) -> float:
    """The variance with the least free energy; on a grid first, because it has several valleys."""
    squares = np.maximum(values**2, 1e-14 * values[0] ** 2)
    most = max(min(math.ceil(short / (1 + short / long)) - 1, short) - 1, 0)
    rest = squares[min(most + 1, short - 1) :]
    low, high = max(rest[0] / (long * limit), rest.mean() / long), squares.sum() / (short * long)
    if low >= high:
        return float(high)
    grid = np.geomspace(low, high, _GRID)
    energies = [_energy(s2, squares, short, long, limit) for s2 in grid]
    best = int(np.argmin(energies))
    ends = math.log(grid[max(best - 1, 0)]), math.log(grid[min(best + 1, _GRID - 1)])
    found = minimize_scalar(lambda t: _energy(math.exp(t), squares, short, long, limit), bounds=ends, method="bounded")
    return float(math.exp(found.x)) if found.fun < energies[best] else float(grid[best])


def _energy(s2: float, squares: Any, short: int, long: int, limit: float) -> float:
    """Free energy, up to a factor and a constant."""
    alpha, x = short / long, squares / (long * s2)
    noise, signal = x[x <= limit], x[x > limit]
    tau = (signal - (1 + alpha) + np.sqrt((signal - (1 + alpha)) ** 2 - 4 * alpha)) / 2
    kept = np.sum(signal - tau) + np.sum(np.log((tau + 1) / signal)) + alpha * np.sum(np.log(tau / alpha + 1))
    return float(np.sum(noise - np.log(noise)) + kept)
