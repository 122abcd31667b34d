"""Origins of axes: the axes of a leaf from which the axes of a reshaped or transposed weight come."""

from collections.abc import Sequence
from typing import Any

from compressjax.numerics._factored import factored

Axes = tuple[tuple[int, ...], ...]  # for every axis of the weight, its axes of origin in the leaf


def moved_axes(eqn: Any, axes: Axes, shape: Sequence[int]) -> Axes:
    """Origins of the axes after a layout change."""
    name, params = eqn.primitive.name, eqn.params
    if name == "transpose":
        return tuple(axes[a] for a in params["permutation"])
    if name == "squeeze":
        return tuple(origin for a, origin in enumerate(axes) if a not in params["dimensions"])
    if name == "unstack":
        return tuple(origin for a, origin in enumerate(axes) if a != params["axis"])
    if name == "broadcast_in_dim":
        placed = dict(zip(params["broadcast_dimensions"], axes, strict=True))
        return tuple(placed.get(a, ()) for a in range(len(params["shape"])))
    if name == "reshape":
        out: list[tuple[int, ...]] = []
        for olds, news in factored(shape, params["new_sizes"]):
            # In this order, because rows are read in the order of the merged axis.
            origin = tuple(dict.fromkeys(a for old in olds for a in axes[old]))
            out += [origin if params["new_sizes"][new] != 1 or len(news) == 1 else () for new in news]
        return tuple(out)
    return axes
