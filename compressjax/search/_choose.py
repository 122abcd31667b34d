"""One option for every leaf under linear budgets: an exact integer program."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp

Table = Mapping[str, Mapping[str, float]]


class Choice(NamedTuple):
    """A choice for every leaf.

    Attributes:
        options: `{leaf: option}`.
        loss: Sum of the losses of the chosen options.
        costs: `{budget: sum of the costs of the chosen options}`.
    """

    options: dict[str, str]
    loss: float
    costs: dict[str, float]


def choose(losses: Table, costs: Mapping[str, Table], limits: Mapping[str, float]) -> Choice:
    """Chooses one option for every leaf with the least summed loss within all budgets.

    .. math:: \\min_o \\sum_l L_{l, o_l} \\;\\text{ s.t. }\\; \\sum_l C^b_{l, o_l} \\le B_b

    for every budget b. Losses and costs of leaves add up; whether that holds is for the caller to measure. Branch and
    bound (HiGHS) is exact up to its tolerance, a millionth of a limit and 1e-12 of the range of the losses. It knows
    nothing of bits: options may be bits, ranks, sparsities, or anything with a name.

    Args:
        losses: `{leaf: {option: loss}}`; leaves may have different options. Losses are finite, costs finite and at
            least 0.
        costs: `{budget: {leaf: {option: cost}}}` for all leaves and options.
        limits: `{budget: largest sum}`.

    Returns:
        The choice.

    Raises:
        ValueError: If tables do not fit together, a number is not finite, or no choice is within a budget: the least
            cost is named.

    Example:
        >>> losses = {"a": {"4": 3.0, "8": 1.0}, "b": {"4": 1.5, "8": 1.0}}
        >>> bits = {"a": {"4": 40, "8": 80}, "b": {"4": 40, "8": 80}}
        >>> choose(losses, {"bits": bits}, {"bits": 120}).options
        {'a': '8', 'b': '4'}

    Source: bits by an integer program: Yao et al., arXiv:2011.10680 (yao2021).
    """
    places = [(leaf, option) for leaf, options in losses.items() for option in options]
    _check(losses, costs, limits)
    leaves = {leaf: i for i, leaf in enumerate(losses)}
    once = np.zeros((len(leaves), len(places)))
    for i, (leaf, _) in enumerate(places):
        once[leaves[leaf], i] = 1
    weights = np.array([losses[leaf][option] for leaf, option in places], np.float64)
    rows = {name: np.array([costs[name][leaf][option] for leaf, option in places], np.float64) for name in limits}
    constraints: list[Any] = [LinearConstraint(once, 1, 1)]
    for name, row in rows.items():
        # Scaled to its limit, because the solver's tolerances are absolute.
        scale = max(limits[name], float(row.max()), 1e-300)
        constraints.append(LinearConstraint(row[None] / scale, -np.inf, limits[name] / scale))
    spread = max(float(np.ptp(weights)), 1e-300)
    found = milp(
        1e6 * (weights - weights.min()) / spread,  # large, because the solver stops at an absolute gap of 1e-6
        integrality=np.ones(len(places)),
        bounds=Bounds(0, 1),
        constraints=constraints,
        options={"mip_rel_gap": 0.0},
    )
    if not found.success:
        raise ValueError(f"choose: no choice keeps all of {dict(limits)} at once ({found.message}); raise a limit")
    options = {leaf: option for (leaf, option), taken in zip(places, found.x, strict=True) if taken > 0.5}
    return Choice(
        options,
        float(sum(losses[leaf][option] for leaf, option in options.items())),
        {name: float(sum(costs[name][leaf][option] for leaf, option in options.items())) for name in limits},
    )


def _check(losses: Table, costs: Mapping[str, Table], limits: Mapping[str, float]) -> None:
    if not losses or not all(losses.values()):
        raise ValueError(f"choose: every leaf needs an option; leaves without: {[x for x in losses if not losses[x]]}")
    if missing := sorted(set(limits) - set(costs)):
        raise ValueError(f"choose: there are limits but no costs for {missing}; costs has {sorted(costs)}")
    for what, table in (("losses", losses), *((f"costs of {name!r}", costs[name]) for name in limits)):
        for leaf, options in losses.items():
            for option in options:
                number = table.get(leaf, {}).get(option)
                if number is None or not np.isfinite(number) or (table is not losses and number < 0):
                    raise ValueError(f"choose: {what} of {leaf!r} with {option!r} is {number}; give a finite number")
    for name, limit in limits.items():
        least = sum(min(costs[name][leaf][option] for option in losses[leaf]) for leaf in losses)
        if not limit >= least:
            raise ValueError(f"choose: {name}={limit} is below the least possible sum, {least:g}; raise the limit")
