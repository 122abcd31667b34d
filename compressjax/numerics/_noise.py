"""Singular values of pure noise, and the best hard threshold above them."""

import math

import numpy as np


def threshold(beta: float) -> float:
    """The best hard threshold for singular values, in units of the root of the longer side times the noise.

    .. math:: \\lambda(\\beta)^2 = 2 (\\beta + 1) + \\frac{8 \\beta}{\\beta + 1 + \\sqrt{\\beta^2 + 14 \\beta + 1}}

    with the shorter side over the longer one, `beta` (Gavish and Donoho, arXiv:1305.5870).
    """
    return math.sqrt(2 * (beta + 1) + 8 * beta / (beta + 1 + math.sqrt(beta**2 + 14 * beta + 1)))


def middle_of_noise(beta: float) -> float:
    """Median of the Marchenko-Pastur distribution: of squared singular values of noise, over the longer side."""
    low, high = (1 - math.sqrt(beta)) ** 2, (1 + math.sqrt(beta)) ** 2
    # With x = middle + half cos(t), both square roots of the density become smooth.
    t = (np.arange(20_000) + 0.5) / 20_000 * math.pi
    x = (low + high) / 2 + (high - low) / 2 * np.cos(t)
    mass = ((high - low) / 2 * np.sin(t)) ** 2 / x
    share = np.cumsum(mass[::-1]) / mass.sum()
    return float(np.interp(0.5, share, x[::-1]))
