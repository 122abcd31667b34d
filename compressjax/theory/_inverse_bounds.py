"""Bounds that invert a tail: of the relative entropy, and of the binomial distribution itself."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy.special import gammaln, logsumexp, xlogy

from compressjax.theory._sample import sample


def kl_bound(errors: int, examples: int, bits: float, delta: float = 0.05) -> float:
    """Returns the PAC-Bayes bound of Seeger and Maurer: the relative entropy, inverted.

    .. math:: R \\le \\sup \\{p : kl(\\hat R \\| p) \\le \\tfrac1n (KL + \\ln (2 \\sqrt n / \\delta))\\}

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
        >>> round(kl_bound(0, 60000, 1000), 6)
        0.011637

    Source: Maurer, A note on the PAC-Bayesian theorem, arXiv:cs/0411099 (maurer2004).
    """
    s = sample("kl_bound", errors, examples, bits, delta)
    limit = (s.nats + math.log(2 * math.sqrt(s.examples)) + s.doubt) / s.examples
    rate = s.rate

    def above(p: float) -> bool:
        entropy = xlogy(rate, rate) + xlogy(1 - rate, 1 - rate)
        return bool(entropy - xlogy(rate, p) - xlogy(1 - rate, 1 - p) > limit)

    return _largest(rate, above)


def binomial_tail_bound(errors: int, examples: int, bits: float, delta: float = 0.05) -> float:
    """Returns the exact bound for one model: no smaller error is certain with this prior and confidence.

    .. math:: R \\le \\sup \\{p : \\Pr[\\mathrm{Bin}(n, p) \\le n \\hat R] \\ge \\delta\\, 2^{-\\ell'}\\}

    It is never above the others, because it uses the distribution of the errors and no inequality. With `bits=0` it is
    the bound of Clopper and Pearson for held-out rows. The tail is summed in logarithms: it is far below the smallest
    float.

    Args:
        errors: As for `occam_bound`.
        examples: As for `occam_bound`.
        bits: As for `occam_bound`; 0 for a model that never saw the rows.
        delta: As for `occam_bound`.

    Returns:
        The largest error on new rows, at most 1.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> round(binomial_tail_bound(0, 60000, 1000), 6)
        0.011535

    Source: Langford, Tutorial on practical prediction theory for classification, JMLR 6 (2005) (langford2005).
    """
    s = sample("binomial_tail_bound", errors, examples, bits, delta)
    if s.errors == s.examples:
        return 1.0
    wrong = np.arange(s.errors + 1.0)
    ways = gammaln(s.examples + 1) - gammaln(wrong + 1) - gammaln(s.examples - wrong + 1)

    def above(p: float) -> bool:
        tail = logsumexp(ways + xlogy(wrong, p) + (s.examples - wrong) * np.log1p(-p))
        return bool(tail < -s.doubt - s.nats)

    return _largest(s.rate, above)


def _largest(low: float, above: Callable[[float], bool]) -> float:
    """The place where a monotone condition begins, from above, so that rounding cannot make a bound too small."""
    high = 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (low, middle) if above(middle) else (middle, high)
    return high
