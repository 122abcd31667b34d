"""Rules for the rank: a number, a share, an energy, a budget, one for every leaf, or what stands above the noise."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from compressjax.core._settings import as_int, as_number
from compressjax.core._unfit import UnfitError
from compressjax.lowrank._evbmf import evbmf
from compressjax.lowrank._rank import affordable, known, rank_by_energy, rank_by_threshold, split

Rank = int | float | str | Mapping[str, int]
NOISE = ("evbmf", "hard_threshold")


class Rule(NamedTuple):
    """How a method chooses ranks.

    Attributes:
        who: The method.
        name: `"rank"`, `"energy"` or `"budget"`.
        value: As given.
    """

    who: str
    name: str
    value: Any

    @property
    def shown(self) -> str:
        """The setting, for names and messages."""
        return f"{self.name}=..." if isinstance(self.value, Mapping) else f"{self.name}={self.value}"

    @property
    def static(self) -> bool:
        """Whether shapes alone decide."""
        return self.name != "energy" and not isinstance(self.value, str)

    def fixed(self, path: str, shape: tuple[int, ...], inputs: int, batch: int) -> int | None:
        """The rank if it only depends on shapes; None if it depends on values."""
        _, rows, columns = split(shape, inputs, batch)
        if not self.static:
            return None
        if self.name == "budget":
            return affordable(shape, self.value, inputs=inputs, batch=batch)
        value = self.value
        if isinstance(value, Mapping):
            if path not in value:
                raise UnfitError(self.who, {path: "rank= has no entry for it, so it stays dense"})
            value = value[path]
        if isinstance(value, float):
            return max(1, math.floor(value * min(rows, columns) + 1e-9))
        return min(value, rows, columns)

    def chosen(self, path: str, singular: Any, rows: int, columns: int) -> int:
        """The rank that singular values `[*batch, n]` give; the largest of a batch."""
        values = known(self.who, self.shown, path, singular)
        if self.name == "energy":
            return rank_by_energy(values, self.value)
        flat = values.reshape(-1, values.shape[-1])
        size = (rows, columns)
        ranks = [evbmf((s, size)).rank if self.value == "evbmf" else rank_by_threshold(s, size) for s in flat]
        if not max(ranks, default=0):
            raise UnfitError(self.who, {path: f"{self.shown} finds no direction above the noise"})
        return max(ranks)


def make_rule(who: str, rank: Rank | None = None, energy: float | None = None, budget: float | None = None) -> Rule:
    """The rule that settings give, after checks."""
    given = {k: v for k, v in {"rank": rank, "energy": energy, "budget": budget}.items() if v is not None}
    if len(given) != 1:
        raise ValueError(f"{who} needs exactly one of rank, energy and budget; it got {given or 'none'}")
    name, value = next(iter(given.items()))
    if isinstance(value, Mapping):
        ranks = {path: as_int(who, f"rank of {path!r}", r) for path, r in value.items()}
        if bad := {path: r for path, r in ranks.items() if r < 1}:
            raise ValueError(f"{who}: ranks must be at least 1, but there are {bad}; leave such leaves out of rank=")
        return Rule(who, name, ranks)
    if name == "rank" and isinstance(value, str):
        if value not in NOISE:
            raise ValueError(f"{who}: rank={value!r} is unknown; use a number, or one of {NOISE}")
        return Rule(who, name, value)
    number = as_number(who, name, value)
    if name == "rank" and not isinstance(number, float):
        if number < 1:
            raise ValueError(f"{who}: rank={number} must be at least 1, or a fraction such as 0.25")
    elif not 0.0 < number <= 1.0:
        raise ValueError(f"{who}: {name}={number} must lie in (0, 1]" + ("; ranks are integers" * (name == "rank")))
    return Rule(who, name, number)
