"""Confidence interval of a proportion."""

from statistics import NormalDist
from typing import NamedTuple


class Proportion(NamedTuple):
    """A measured proportion with its interval.

    Attributes:
        value: Successes over trials.
        low: Lower end of the interval.
        high: Upper end of the interval.
    """

    value: float
    low: float
    high: float


def wilson(successes: int, trials: int, level: float = 0.95) -> Proportion:
    """Returns Wilson's interval of a binomial proportion: all p that a score test does not reject.

    .. math:: \\{p : |\\hat p - p| \\le z \\sqrt{p (1 - p) / n}\\}

    Source: Wilson, Probable inference, the law of succession, and statistical inference, JASA 22 (1927) (wilson1927).
    """
    if not 0 <= successes <= trials or trials < 1:
        raise ValueError(f"{successes} successes in {trials} trials is not valid; give 0 <= successes <= trials")
    if not 0 < level < 1:
        raise ValueError(f"level={level} is not a coverage; give a number between 0 and 1, such as 0.95")
    z = NormalDist().inv_cdf(0.5 + level / 2)
    value = successes / trials
    center = (value + z * z / (2 * trials)) / (1 + z * z / trials)
    half = z / (1 + z * z / trials) * (value * (1 - value) / trials + z * z / (4 * trials * trials)) ** 0.5
    # Set the exact ends 0 and 1, where the formula has rounding errors.
    low = max(0.0, center - half) if successes else 0.0
    high = min(1.0, center + half) if successes < trials else 1.0
    return Proportion(value, low, high)
