"""Budgets: limits on the parameters, operations, bytes or seconds of a shrunk model."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax

from compressjax.core import nodes, storage
from compressjax.interpret import Group, narrow, predict_flops
from compressjax.interpret.jaxpr._compiled import bound
from compressjax.interpret.jaxpr._shapes import shapes
from compressjax.measure import interleaved
from compressjax.structure._units import Kept, cut


class Model(NamedTuple):
    """A model to shrink: a function, its weights, its other arguments, and its groups of units."""

    fn: Callable[..., Any]
    params: Any
    args: tuple[Any, ...]
    groups: Sequence[Group]


class Budget(NamedTuple):
    """A cost and its limit.

    Attributes:
        name: Name of the cost.
        cost: `(model, kept) -> number`.
        share: Limit as a share of the cost of the whole model; None if `limit` is given.
        limit: Limit as a number; None if `share` is given.
        tries: Maximum number of evaluations in a search.
    """

    name: str
    cost: Callable[[Model, Kept], float]
    share: float | None
    limit: float | None
    tries: int

    def allowed(self, model: Model) -> float:
        """The maximum cost."""
        return self.cost(model, {}) * self.share if self.share is not None else float(self.limit or 0)


def _made(
    name: str, cost: Callable[[Model, Kept], float], share: float | None, limit: float | None, tries: int = 64
) -> Budget:
    if (share is None) == (limit is None):
        raise ValueError(f"{name}: give either share (of the whole model, in (0, 1]) or limit (a number), not both")
    if share is not None and not 0 < share <= 1:
        raise ValueError(f"{name}: share={share} is not in (0, 1]; for a limit as a number use limit=")
    if limit is not None and not limit > 0:
        raise ValueError(f"{name}: limit={limit} is not positive")
    return Budget(name, cost, share, limit, tries)


def parameters(share: float | None = None, *, limit: float | None = None) -> Budget:
    """Returns a budget in stored numbers, including statistics of norms.

    Args:
        share: Share of the whole model, in (0, 1].
        limit: Or the maximum number.

    Returns:
        The budget.

    Raises:
        ValueError: If not exactly one limit is given, or it is out of range.

    Example:
        >>> parameters(0.5).share
        0.5
    """

    def cost(model: Model, kept: Kept) -> float:
        small = nodes(cut(shapes(model.params), model.groups, kept))
        return float(sum(math.prod(x.shape) for x in small.values() if hasattr(x, "shape")))

    return _made("parameters", cost, share, limit)


def size(share: float | None = None, *, limit: float | None = None) -> Budget:
    """Returns a budget in bytes of the arrays, before entropy coding.

    Args:
        share: Share of the whole model, in (0, 1].
        limit: Or the maximum number of bytes.

    Returns:
        The budget.

    Raises:
        ValueError: If not exactly one limit is given, or it is out of range.

    Example:
        >>> size(limit=1e6).limit
        1000000.0
    """

    def cost(model: Model, kept: Kept) -> float:
        return sum(storage(cut(shapes(model.params), model.groups, kept)).values()) / 8

    return _made("bytes", cost, share, limit)


def flops(share: float | None = None, *, limit: float | None = None) -> Budget:
    """Returns a budget in operations of one call on the example arguments, from `interpret.predict_flops`.

    Args:
        share: Share of the whole model, in (0, 1].
        limit: Or the maximum number of operations.

    Returns:
        The budget.

    Raises:
        ValueError: If not exactly one limit is given, or it is out of range.

    Example:
        >>> flops(0.5).name
        'flops'
    """

    def cost(model: Model, kept: Kept) -> float:
        return float(predict_flops(model.fn, model.params, kept)(*model.args))

    return _made("flops", cost, share, limit, tries=16)


def _median_seconds(call: Callable[[], Any]) -> float:
    return interleaved(call, rounds=15).medians[0]


def latency(
    share: float | None = None, *, limit: float | None = None, clock: Callable[[Callable[[], Any]], float] | None = None
) -> Budget:
    """Returns a budget in measured seconds of one compiled call on the example arguments, which must be concrete.

    Args:
        share: Share of the whole model, in (0, 1].
        limit: Or the maximum number of seconds.
        clock: Returns the seconds of a function without arguments; None takes the median of 15 samples.

    Returns:
        The budget; a search compiles and measures at most 8 models besides the whole and the smallest one.

    Raises:
        ValueError: If not exactly one limit is given, it is out of range, or the arguments are abstract.

    Example:
        >>> latency(0.5, clock=lambda call: 1.0).name
        'seconds'
    """
    seconds = clock or _median_seconds

    def cost(model: Model, kept: Kept) -> float:
        if any(isinstance(x, jax.ShapeDtypeStruct) for x in jax.tree.leaves((model.params, model.args))):
            raise ValueError("latency: weights or arguments are abstract, and cannot be timed; pass arrays, or "
                             "give a budget in flops")  # fmt: skip
        small = cut(model.params, model.groups, kept)
        return seconds(bound(narrow(model.fn, model.params, kept), small, *model.args))

    return _made("seconds", cost, share, limit, tries=8)
