"""Ranges of numbers in configs, checked before anything trains."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple


class Limit(NamedTuple):
    """A range of a number.

    Attributes:
        low: Least value.
        high: Greatest value.
        whole: Whether it must be an integer.
        above: Whether `low` itself is out.
    """

    low: float = 0
    high: float = math.inf
    whole: bool = False
    above: bool = False

    def holds(self, value: Any) -> bool:
        """Whether a value is a number in the range."""
        if isinstance(value, bool) or not isinstance(value, int if self.whole else (int, float)):
            return False
        return math.isfinite(value) and self.low <= value <= self.high and not (self.above and value == self.low)

    def __str__(self) -> str:
        low, high = (f"{x:.0f}" if self.whole and math.isfinite(x) else f"{x:g}" for x in (self.low, self.high))
        number = "a whole number" if self.whole else "a finite number"
        least = f"above {low}" if self.above else f"of at least {low}"
        return f"{number} {least}" + (f" and at most {high}" if self.high < math.inf else "")


POSITIVE = Limit(above=True)
NOT_NEGATIVE = Limit()
FRACTION = Limit(0, 1)
COUNT = Limit(1, whole=True)


def check(settings: Mapping[str, Any], limits: Mapping[str, Limit], where: str) -> None:
    """Refuses numbers outside of their ranges.

    Args:
        settings: Values by name; names without a limit are not checked.
        limits: Ranges by name.
        where: Prefix of the name in messages, such as `--config.`.

    Raises:
        ValueError: Names the setting, its value and its range.

    Example:
        >>> check({"batch": 0}, {"batch": COUNT}, "train.")
        Traceback (most recent call last):
        ...
        ValueError: train.batch=0 must be a whole number of at least 1
    """
    for name, limit in limits.items():
        if name in settings and not limit.holds(settings[name]):
            raise ValueError(f"{where}{name}={settings[name]!r} must be {limit}")
