"""The difference of two accuracies on the same examples."""

import math
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np


class PairedDifference(NamedTuple):
    """The difference in accuracy between two models.

    Attributes:
        value: Accuracy of the second minus accuracy of the first.
        low: Lower end of the interval.
        high: Upper end of the interval.
        lost: Number of examples that only the first gets right.
        won: Number of examples that only the second gets right.
        p_value: P-value of the exact McNemar test that both are equally accurate.
    """

    value: float
    low: float
    high: float
    lost: int
    won: int
    p_value: float


def paired_difference(first: Any, second: Any, level: float = 0.95) -> PairedDifference:
    """Returns the difference of two accuracies on the same examples, with an interval and a test.

    The interval is narrower than two separate ones, because only examples where the models differ count. With `b`
    examples lost, `c` won and `n` in total, and half an example added to each cell of the two-by-two table,

    .. math:: \\tilde\\Delta = \\frac{c - b}{n + 2}, \\qquad \\tilde\\Delta \\pm \\frac{z}{n + 2}
        \\sqrt{(b + c + 1) - \\frac{(c - b)^2}{n + 2}}

    The p-value is twice the smaller tail of a binomial distribution with `b + c` trials of probability 1/2.

    Args:
        first: Whether the first model is right, booleans `[n]`.
        second: Whether the second model is right on the same examples, booleans `[n]`.
        level: Coverage, in (0, 1).

    Returns:
        The difference.

    Raises:
        ValueError: If the arrays are not booleans of one length, are empty, or the level is out of range.

    Example:
        >>> dense, small = [True] * 90 + [False] * 10, [True] * 88 + [False] * 11 + [True]
        >>> found = paired_difference(dense, small)
        >>> round(found.value, 4), found.lost, found.won, found.p_value
        (-0.01, 2, 1, 1.0)

    Source: Agresti and Min, Statistics in Medicine 24 (2005) (agresti2005); McNemar, Psychometrika 12 (1947)
    (mcnemar1947).
    """
    a, b = np.asarray(first), np.asarray(second)
    if a.dtype != np.bool_ or b.dtype != np.bool_ or a.ndim != 1 or a.shape != b.shape or not a.size:
        raise ValueError(
            f"first is {a.dtype} {a.shape}, second {b.dtype} {b.shape}; give booleans [n] for the same examples"
        )
    if not 0 < level < 1:
        raise ValueError(f"level={level} is not a coverage; give a number between 0 and 1, such as 0.95")
    n, lost, won = a.size, int(np.count_nonzero(a & ~b)), int(np.count_nonzero(b & ~a))
    center = (won - lost) / (n + 2)
    deviation = math.sqrt(lost + won + 1 - (won - lost) ** 2 / (n + 2)) / (n + 2)
    half = NormalDist().inv_cdf(0.5 + level / 2) * deviation
    low, high = max(-1.0, center - half), min(1.0, center + half)
    return PairedDifference((won - lost) / n, low, high, lost, won, _mcnemar(lost, won))


def _mcnemar(lost: int, won: int) -> float:
    throws = lost + won
    # Use logarithms: the binomial coefficients of a thousand trials overflow a float.
    tail = sum(
        math.exp(math.lgamma(throws + 1) - math.lgamma(k + 1) - math.lgamma(throws - k + 1) - throws * math.log(2))
        for k in range(min(lost, won) + 1)
    )
    return min(1.0, 2 * tail)
