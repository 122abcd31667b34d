"""Rates that a distortion asks for at least: of discrete sources, and of Gaussian components such as a layer."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from compressjax.core._settings import as_int, as_number


class RatePoint(NamedTuple):
    """A point of a rate-distortion curve.

    Attributes:
        rate: Bits a symbol.
        distortion: Mean distortion of a symbol.
    """

    rate: float
    distortion: float


def rate_distortion(
    probabilities: ArrayLike, distortions: ArrayLike, slope: float, *, tolerance: float = 1e-9, iterations: int = 10000
) -> RatePoint:
    """Returns the point of the rate-distortion curve of a discrete source where a line of this slope touches it.

    .. math:: \\min_{p(y|x)} I(X; Y) + s\\, E[d(X, Y)]

    No code of any length does better. Several slopes give the curve; a slope is in bits for a unit of distortion.

    Args:
        probabilities: `[n]` of the source, summing to 1.
        distortions: `[n, m]`, of each symbol by each reproduction, finite and at least 0.
        slope: At least 0; 0 gives the point without bits.
        tolerance: In bits, between the bounds of the minimum where the method of Blahut and Arimoto ends, above 0.
        iterations: Its most steps.

    Returns:
        Rate and distortion.

    Raises:
        ValueError: If an argument is out of range, or the bounds do not meet.

    Example:
        >>> point = rate_distortion([0.5, 0.5], [[0, 1], [1, 0]], slope=3.0)
        >>> round(point.rate, 4), round(point.distortion, 4)
        (0.4967, 0.1111)

    Source: Blahut, Computation of channel capacity and rate-distortion functions, 1972 (blahut1972).
    """
    p, d = np.asarray(probabilities, np.float64), np.asarray(distortions, np.float64)
    s = as_number("rate_distortion", "slope", slope)
    end, most = (
        as_number("rate_distortion", "tolerance", tolerance),
        as_int("rate_distortion", "iterations", iterations),
    )
    _check(p, d, s, end, most)
    if s == 0:
        return RatePoint(0.0, float((p @ d).min()))
    # The least distortion of each symbol is taken out, so that no symbol loses all its reproductions to underflow.
    least = d.min(1)
    kernel, share = np.exp2(-s * (d - least[:, None])), np.full(d.shape[1], 1 / d.shape[1])
    for _ in range(most):
        sums = kernel @ share
        gain = (p / sums) @ kernel
        inside = gain > 0
        logs = np.log2(gain, where=inside, out=np.zeros_like(gain))
        if logs[inside].max() - (share * gain * logs).sum() < end:
            break
        share = share * gain
    else:
        raise ValueError(f"rate_distortion: slope={s} is not solved to {end} bits after {most} steps; raise iterations")
    joint = p[:, None] * kernel * share / sums[:, None]
    distortion = float((joint * d).sum())
    rate = -s * distortion + s * float(p @ least) - float(p @ np.log2(sums))
    return RatePoint(max(0.0, rate), distortion)


def gaussian_rate(variances: ArrayLike, distortion: float) -> float:
    """Returns the bits that independent Gaussian components need at least for a total squared error.

    .. math:: R(D) = \\sum_i \\max(0, \\tfrac12 \\log_2 \\frac{\\sigma_i^2}{\\theta}), \\quad
        \\sum_i \\min(\\theta, \\sigma_i^2) = D

    Components below the level `theta` take no bits. Among sources of these variances the Gaussian one needs most, so
    this is what the weights of a layer need at most: with the variances of the weights along the principal directions
    of its inputs, times the second moments of the inputs there, `distortion` is the squared error of the outputs.

    Args:
        variances: `[n]`, at least 0.
        distortion: Sum of squared errors, above 0.

    Returns:
        Bits of all components together.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> gaussian_rate([4.0, 1.0], 1.0), gaussian_rate([4.0, 1.0], 5.0)
        (2.0, 0.0)

    Source: Cover and Thomas, Elements of information theory, 2006, section 10.3 (cover2006).
    """
    held, target = (
        np.sort(np.asarray(variances, np.float64).ravel()),
        as_number("gaussian_rate", "distortion", distortion),
    )
    if not held.size or not (np.isfinite(held) & (held >= 0)).all() or not target > 0:
        raise ValueError(f"gaussian_rate: {held.size} variances must be finite and at least 0, at least one of them, "
                         f"and distortion={target} above 0")  # fmt: skip
    if target >= held.sum():
        return 0.0
    below = np.concatenate([[0.0], np.cumsum(held)[:-1]])  # what smaller components take
    levels = (target - below) / np.arange(held.size, 0, -1)
    level = levels[int(np.argmax(levels <= held))]
    return float(0.5 * np.log2(held[held > level] / level).sum())


def _check(p: np.ndarray, d: np.ndarray, slope: float, tolerance: float, iterations: int) -> None:
    if p.ndim != 1 or not p.size or not (p >= 0).all() or abs(p.sum() - 1) > 1e-6:
        raise ValueError(f"rate_distortion: probabilities {list(p.shape)} sum to {p.sum():.6g}; give [n] that sum to 1")
    if d.ndim != 2 or len(d) != p.size or not d.shape[1] or not (np.isfinite(d) & (d >= 0)).all():
        raise ValueError(f"rate_distortion: distortions {list(d.shape)} must be finite and at least 0, [{p.size}, m]")
    if slope < 0 or tolerance <= 0 or iterations < 1:
        raise ValueError(f"rate_distortion: slope={slope} must be at least 0, tolerance={tolerance} above 0 and "
                         f"iterations={iterations} at least 1")  # fmt: skip
