"""Refusals of settings that are no numbers, or out of range."""

import math
from typing import Any


def check_strength(who: str, name: str, value: Any, hint: str = "") -> None:
    """Refuses penalties, decays and dampings that are negative, infinite or no number; functions of the step pass."""
    if not callable(value) and not 0 <= value < math.inf:
        raise ValueError(f"{who}: {name}={value} must be finite and at least 0" + (hint and f"; {hint}"))
