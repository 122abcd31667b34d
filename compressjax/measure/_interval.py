"""How sure a measured proportion is."""

from statistics import NormalDist
from typing import NamedTuple


class Proportion(NamedTuple):
    """A measured proportion with its interval.

    Attributes:
        value: successes over trials.
        low: lower end.
        high: upper end.
    """

    value: float
    low: float
    high: float


def wilson(successes: int, trials: int, level: float = 0.95) -> Proportion:
    """Wilson's interval of a binomial proportion: all p that a score test does not reject.

    .. math:: \\{p : |\\hat p - p| \\le z \\sqrt{p (1 - p) / n}\\}

    It stays inside [0, 1] and covers well even near its ends, where accuracies lie.

    Args:
        successes: number of successes, in [0, trials].
        trials: number of trials, at least 1.
        level: coverage, in (0, 1).

    Returns:
        The proportion and its interval.

    Raises:
        ValueError: If a count or the level is out of range.

    Example:
        >>> [round(x, 4) for x in wilson(90, 100)]
        [0.9, 0.8256, 0.9448]

    Source: Wilson, Probable inference, the law of succession, and statistical inference, JASA 22 (1927) (wilson1927).
    """
    if not 0 <= successes <= trials or trials < 1:
        raise ValueError(f"{successes} successes in {trials} trials is no proportion; give 0 <= successes <= trials")
    if not 0 < level < 1:
        raise ValueError(f"level={level} is not a coverage; give a number between 0 and 1, such as 0.95")
    z = NormalDist().inv_cdf(0.5 + level / 2)
    value = successes / trials
    center = (value + z * z / (2 * trials)) / (1 + z * z / trials)
    half = z / (1 + z * z / trials) * (value * (1 - value) / trials + z * z / (4 * trials * trials)) ** 0.5
    # At 0 and n the ends are 0 and 1, where the formula rounds.
    low = max(0.0, center - half) if successes else 0.0
    high = min(1.0, center + half) if successes < trials else 1.0
    return Proportion(value, low, high)
