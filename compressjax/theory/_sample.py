"""The numbers that every bound starts from, checked."""

from __future__ import annotations

import math
from typing import NamedTuple

from compressjax.core._settings import as_int, as_number


class Sample(NamedTuple):
    """Errors on independent rows, and the price of the model in nats."""

    errors: int
    examples: int
    nats: float
    delta: float

    @property
    def rate(self) -> float:
        """Share of the rows that are wrong."""
        return self.errors / self.examples

    @property
    def doubt(self) -> float:
        """Nats of the probability that the bound fails."""
        return -math.log(self.delta)


def sample(who: str, errors: int, examples: int, bits: float, delta: float) -> Sample:
    """Reads the arguments of a bound."""
    wrong, rows = as_int(who, "errors", errors), as_int(who, "examples", examples)
    length, chance = as_number(who, "bits", bits), as_number(who, "delta", delta)
    if rows < 1 or not 0 <= wrong <= rows:
        raise ValueError(f"{who}: errors={errors} of examples={examples}; give counts, with 0 <= errors <= examples")
    if not 0 <= length < math.inf:
        raise ValueError(f"{who}: bits={bits} must be finite and at least 0; description_length(...).bits is usual")
    if not 0 < chance < 1:
        raise ValueError(f"{who}: delta={delta} must lie in (0, 1); 0.05 is usual")
    return Sample(wrong, rows, length * math.log(2), chance)
