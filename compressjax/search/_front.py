"""The best choices at all sizes of a budget."""

from collections.abc import Mapping

import numpy as np

from compressjax.search._choose import Choice, Table, choose


def front(
    losses: Table,
    costs: Mapping[str, Table],
    budget: str,
    *,
    points: int = 20,
    limits: Mapping[str, float] | None = None,
) -> list[Choice]:
    """Solves `choose` for evenly spaced limits of one budget, from the least possible sum to the largest.

    .. math:: B_i = B_{min} + \\tfrac{i}{n - 1} (B_{max} - B_{min})

    Args:
        losses: As for `choose`.
        costs: As for `choose`.
        budget: The budget whose limit varies.
        points: How many limits, at least 2.
        limits: Fixed limits of other budgets.

    Returns:
        Choices that no other dominates, the cheapest first.

    Raises:
        ValueError: From `choose`, or if there are fewer than 2 points.

    Example:
        >>> losses = {"a": {"4": 3.0, "8": 1.0}, "b": {"4": 1.5, "8": 1.0}}
        >>> bits = {"a": {"4": 40, "8": 80}, "b": {"4": 40, "8": 80}}
        >>> [(point.costs["bits"], point.loss) for point in front(losses, {"bits": bits}, "bits", points=3)]
        [(80.0, 4.5), (120.0, 2.5), (160.0, 2.0)]
    """
    if points < 2:
        raise ValueError(f"front: points={points} must be at least 2")
    if budget not in costs:
        raise ValueError(f"front: there are no costs for {budget!r}; costs has {sorted(costs)}")
    table = costs[budget]
    sums = [[table.get(leaf, {}).get(option, np.nan) for option in losses[leaf]] for leaf in losses]
    least, most = float(sum(map(min, sums))), float(sum(map(max, sums)))
    found: list[Choice] = []
    for limit in np.linspace(least, most, points):
        choice = choose(losses, costs, {**(limits or {}), budget: float(limit) * (1 + 1e-12)})
        if not found or choice.loss < found[-1].loss:
            found.append(choice)
    return found
