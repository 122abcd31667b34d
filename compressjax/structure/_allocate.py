"""Chooses the units to keep, from scores and a budget."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from compressjax.interpret import Group
from compressjax.structure._budget import Budget, Model

RANKINGS = ("global", "uniform")


def best(scores: np.ndarray, count: int) -> list[int]:
    """Indices of the highest scores, ascending; ties keep the first ones."""
    return sorted(np.argsort(-scores, kind="stable")[:count].tolist())


def rounded(count: int, units: int, round_to: int) -> int:
    """A count of units rounded up to a multiple of `round_to`, at most all units."""
    return min(units, max(round_to, -(-count // round_to) * round_to))


def explicit(groups: Sequence[Group], scores: Mapping[str, np.ndarray], keep: Any, round_to: int) -> dict:
    """Units to keep: a share of every group, or `{name: share, count, or indices}`."""
    wanted = keep if isinstance(keep, Mapping) else {group.name: float(keep) for group in groups}
    by_name, out = {group.name: group for group in groups}, {}
    for name, value in wanted.items():
        if name not in by_name:
            raise ValueError(f"keep names {name!r}, which is not among the groups to shrink: {', '.join(by_name)}")
        units = by_name[name].units
        if isinstance(value, float):
            if not 0 < value <= 1:
                raise ValueError(f"keep={value} for {name!r} is not a share in (0, 1]; give a count as an int")
            out[name] = best(scores[name], rounded(int(np.ceil(value * units - 1e-9)), units, round_to))
        elif isinstance(value, int | np.integer):
            if not 1 <= value <= units:
                raise ValueError(f"keep={value} for {name!r}: it has {units} units; keep at least one")
            out[name] = best(scores[name], rounded(int(value), units, round_to))
        else:
            out[name] = sorted({int(unit) for unit in value})
    return out


def allocate(
    model: Model, scores: Mapping[str, np.ndarray], budget: Budget, *, ranking: str = "global", round_to: int = 1,
    comparable: bool = False,
) -> dict[str, list[int]]:  # fmt: skip
    """Removes the units of the lowest scores until the model is within the budget.

    The number of removed units is found by bisection. Scores are divided by their mean per group unless `comparable`;
    `uniform` removes the same share of every group.
    """
    if ranking not in RANKINGS:
        raise ValueError(f"ranking={ranking!r} is unknown; use one of {RANKINGS}")
    units = {group.name: group.units for group in model.groups if group.name in scores}
    total = sum(units.values())
    ranks = _ranks(scores, comparable, ranking)

    def kept(cuts: int) -> dict[str, list[int]]:
        lost = {name: int((rank < cuts).sum()) for name, rank in ranks.items()}
        return {name: best(scores[name], rounded(n - lost[name], n, round_to)) for name, n in units.items()}

    limit = budget.allowed(model)
    if not units or (reached := budget.cost(model, kept(total))) > limit:
        least = f"{reached:g} at the smallest" if units else "unchanged, as no group can be shrunk"
        raise ValueError(
            f"{budget.name}: the limit is {limit:g}, and the cost is {least}; raise the limit, lower round_to, or "
            "shrink more groups (select, allow_inexact, structure.drop_layers)"
        )
    low, high = -1, total  # removed units: too few, enough
    for _ in range(budget.tries):
        if high - low <= 1:
            break
        middle = (low + high) // 2
        if budget.cost(model, kept(middle)) > limit:
            low = middle
        else:
            high = middle
    return kept(high)


def _ranks(scores: Mapping[str, np.ndarray], comparable: bool, ranking: str) -> dict[str, np.ndarray]:
    """The position of every unit in the order of removal."""
    names = list(scores)
    if ranking == "uniform":
        own = [np.argsort(np.argsort(scores[n], kind="stable"), kind="stable") for n in names]
        values = [(rank + 0.5) / len(rank) for rank in own]
    else:
        values = [scores[n] / (1.0 if comparable else max(float(scores[n].mean()), 1e-30)) for n in names]
    order = np.argsort(np.concatenate(values), kind="stable")
    place = np.empty(len(order), int)
    place[order] = np.arange(len(order))
    return dict(zip(names, np.split(place, np.cumsum([len(v) for v in values])[:-1]), strict=True))
