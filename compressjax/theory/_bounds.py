"""Bounds on the error in closed form, and Catoni's with its best parameter."""

from __future__ import annotations

import math

import numpy as np

from compressjax.theory._sample import Sample, sample

# Catoni's parameter is looked for on a grid of this ratio less 1: the union bound over the grid is in the formula.
_ALPHA = 1e-4


def occam_bound(errors: int, examples: int, bits: float, delta: float = 0.05) -> float:
    """Returns the bound of Occam's razor with Hoeffding's inequality, the loosest where errors are rare.

    .. math:: R \\le \\hat R + \\sqrt{\\frac{KL + \\ln 1/\\delta}{2 n}}, \\quad KL = \\ell' \\ln 2

    Args:
        errors: Wrong predictions on the rows.
        examples: Independent rows `n`, at least 1.
        bits: Description length `l'` of the model, at least 0.
        delta: Probability that the bound fails, in (0, 1).

    Returns:
        The largest error on new rows, at most 1.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> round(occam_bound(100, 1000, 0), 4)
        0.1387

    Source: Blumer et al., Occam's razor, Information Processing Letters 24 (1987) (blumer1987).
    """
    s = sample("occam_bound", errors, examples, bits, delta)
    return min(1.0, s.rate + math.sqrt((s.nats + s.doubt) / (2 * s.examples)))


def mcallester_bound(errors: int, examples: int, bits: float, delta: float = 0.05) -> float:
    """Returns McAllester's PAC-Bayes bound, in the form that compression bounds are compared by.

    .. math:: R \\le \\hat R + \\sqrt{\\frac{KL + \\ln (n / \\delta)}{2 n - 1}}

    Args:
        errors: As for `occam_bound`.
        examples: As for `occam_bound`.
        bits: As for `occam_bound`.
        delta: As for `occam_bound`.

    Returns:
        The largest error on new rows, at most 1.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> round(mcallester_bound(0, 60000, 1000), 6)
        0.076765

    Source: McAllester, PAC-Bayesian model averaging, COLT (1999) (mcallester1999); Lotfi et al., arXiv:2211.13609.
    """
    s = sample("mcallester_bound", errors, examples, bits, delta)
    return min(1.0, s.rate + math.sqrt((s.nats + math.log(s.examples) + s.doubt) / (2 * s.examples - 1)))


def quad_bound(errors: int, examples: int, bits: float, delta: float = 0.05) -> float:
    """Returns the quadratic PAC-Bayes bound, which falls as `1 / n` where there are no errors.

    .. math:: R \\le (\\sqrt{\\hat R + B} + \\sqrt B)^2, \\quad B = \\frac{KL + \\ln (2 \\sqrt n / \\delta)}{2 n}

    Args:
        errors: As for `occam_bound`.
        examples: As for `occam_bound`.
        bits: As for `occam_bound`.
        delta: As for `occam_bound`.

    Returns:
        The largest error on new rows, at most 1.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> round(quad_bound(0, 60000, 1000), 6)
        0.023411

    Source: Perez-Ortiz et al., arXiv:2007.12911 (perezortiz2021).
    """
    s = sample("quad_bound", errors, examples, bits, delta)
    half = (s.nats + math.log(2 * math.sqrt(s.examples)) + s.doubt) / (2 * s.examples)
    return min(1.0, (math.sqrt(s.rate + half) + math.sqrt(half)) ** 2)


def catoni_bound(errors: int, examples: int, bits: float, delta: float = 0.05) -> float:
    """Returns Catoni's PAC-Bayes bound at its best parameter, the one that published bounds of networks use.

    .. math:: R \\le \\min_\\gamma \\frac{1 - e^{-\\gamma q / n}}{1 - e^{-\\gamma / n}}, \\quad
        q = \\hat R + \\frac{1 + \\alpha}{\\gamma} \\left(KL + \\ln \\frac1\\delta +
        2 \\ln \\left(2 + \\frac{\\ln \\gamma}{\\ln (1 + \\alpha)}\\right)\\right)

    with `alpha = 1e-4`; the last term pays for the choice of `gamma`.

    Args:
        errors: As for `occam_bound`.
        examples: As for `occam_bound`.
        bits: As for `occam_bound`.
        delta: As for `occam_bound`.

    Returns:
        The largest error on new rows, at most 1.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> round(catoni_bound(0, 60000, 1000), 6)
        0.011926

    Source: Catoni, PAC-Bayesian supervised classification, arXiv:0712.0248 (catoni2007); Lotfi et al.,
    arXiv:2211.13609.
    """
    s = sample("catoni_bound", errors, examples, bits, delta)
    low, high = 0.0, 4 + math.log(s.examples)
    for _ in range(6):  # every pass looks at the best interval of the one before with a hundred times its resolution
        places = np.linspace(low, high, 201)
        best = int(np.argmin(_catoni(s, places)))
        low, high = float(places[max(best - 1, 0)]), float(places[min(best + 1, 200)])
    return min(1.0, float(_catoni(s, np.asarray([(low + high) / 2]))[0]))


def _catoni(s: Sample, log_gamma: np.ndarray) -> np.ndarray:
    gamma = np.exp(log_gamma)
    union = 2 * np.log(2 + log_gamma / math.log1p(_ALPHA))
    q = s.rate + (1 + _ALPHA) / gamma * (s.nats + s.doubt + union)
    return np.expm1(-gamma / s.examples * q) / np.expm1(-gamma / s.examples)
