"""The table of rules for nodes, by operation, that `lift` uses."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from compressjax.core import Dense, Window, ops
from compressjax.interpret.jaxpr import _identity
from compressjax.interpret.jaxpr._weight import Weight
from compressjax.interpret.lifting._conv import apply_conv
from compressjax.interpret.lifting._dot import apply_dot
from compressjax.interpret.lifting._gather import apply_gather
from compressjax.interpret.lifting._ragged import apply_ragged

Rule = Callable[[dict[str, Any], Sequence[Any]], Any]


def _broadcast(params: dict[str, Any], inputs: Sequence[Any]) -> Any:
    node, shape, axes = inputs[0].node, params["shape"], params["broadcast_dimensions"]
    grown = [shape[a] for a in axes]
    if list(node.shape) != grown or sorted(axes) != list(axes) or len(inputs) > 1:
        return Dense("broadcast over new entries")
    if any(d != 1 for a, d in enumerate(shape) if a not in axes):
        return Dense("broadcast over new entries")
    return _typed(params) or ops.reshape(node, shape)


def _reshape(params: dict[str, Any], inputs: Sequence[Any]) -> Any:
    if params["dimensions"] is not None or len(inputs) > 1:
        return Dense("a reshape with a permutation or dynamic sizes")
    return _typed(params) or ops.reshape(inputs[0].node, params["new_sizes"])


def _typed(params: dict[str, Any]) -> Dense | None:
    return None if params.get("sharding") is None else Dense("the result's sharding is part of its type")


def _squeeze(params: dict[str, Any], inputs: Sequence[Any]) -> Any:
    node = inputs[0].node
    return ops.reshape(node, [d for a, d in enumerate(node.shape) if a not in params["dimensions"]])


def windows(
    shape: Sequence[int], starts: Sequence[Any], sizes: Sequence[int], steps: Sequence[int] | None = None
) -> list[Window | None]:
    """Windows per axis; None if the whole axis is kept, for any start index."""
    rows = zip(shape, starts, sizes, steps or (1,) * len(shape), strict=True)
    return [None if size == length else Window(start, size, step) for length, start, size, step in rows]


def pieces(node: Any, axis: int, sizes: Sequence[int]) -> Any:
    """Splits a node into pieces along an axis."""
    parts, start = [], 0
    for size in sizes:
        whole: list[Window | None] = [None] * len(node.shape)
        whole[axis] = Window(start, size)
        parts.append(ops.cut(node, whole))
        start += size
    return ops.rebuild(lambda *kept: list(kept), *parts)


def _slice(params: dict[str, Any], inputs: Sequence[Any]) -> Any:
    starts, limits = params["start_indices"], params["limit_indices"]
    steps = params["strides"] or (1,) * len(starts)
    sizes = [-(-(hi - lo) // step) for lo, hi, step in zip(starts, limits, steps, strict=True)]
    return ops.cut(inputs[0].node, windows(inputs[0].shape, starts, sizes, steps))


def _dynamic_slice(params: dict[str, Any], inputs: Sequence[Any]) -> Any:
    node, *starts = inputs
    if not isinstance(node, Weight) or any(isinstance(x, Weight) for x in starts):
        return Dense("the node holds the indices")
    known = [int(x) if isinstance(x, int | np.integer | np.ndarray) else x for x in starts]
    sizes = params["slice_sizes"]
    # Clamp indices that are known at trace time; the slice itself clamps traced indices.
    clamped = [
        min(max(x, 0), d - size) if isinstance(x, int) else x
        for x, d, size in zip(known, node.shape, sizes, strict=True)
    ]
    return ops.cut(node.node, windows(node.shape, clamped, sizes))


def _unstack(params: dict[str, Any], inputs: Sequence[Any]) -> Any:
    node, axis = inputs[0].node, params["axis"]
    parts = pieces(node, axis, (1,) * node.shape[axis])
    if isinstance(parts, Dense):
        return parts
    shape = [d for a, d in enumerate(node.shape) if a != axis]
    return ops.rebuild(lambda *kept: list(kept), *(ops.reshape(part, shape) for part in parts))


def _first(change: Callable[[dict[str, Any], Any], Any]) -> Rule:
    return lambda params, inputs: change(params, inputs[0].node)


# Products: operand of the node, and the rule `(params, inputs, operand)`; the result is an array.
PRODUCTS: dict[str, tuple[Callable[[Sequence[Any]], int], Callable[..., Any]]] = {
    "dot_general": (lambda inputs: 1 if isinstance(inputs[1], Weight) else 0, apply_dot),
    "conv_general_dilated": (lambda inputs: 1, apply_conv),
    "gather": (lambda inputs: 0, apply_gather),
    "ragged_dot_general": (lambda inputs: 1, apply_ragged),
}

# Layout changes: the result is a node, or a list of nodes if the operation has several results.
LAYOUTS: dict[str, Rule] = {
    "transpose": _first(lambda params, node: ops.transpose(node, params["permutation"])),
    "reshape": _reshape,
    "squeeze": _squeeze,
    "broadcast_in_dim": _broadcast,
    "convert_element_type": _first(lambda params, node: ops.convert(node, params["new_dtype"])),
    "slice": _slice,
    "dynamic_slice": _dynamic_slice,
    "split": _first(lambda params, node: pieces(node, params["axis"], params["sizes"])),
    "unstack": _unstack,
    "stop_gradient": _first(lambda params, node: _identity.stop(node)),
    "name": _first(lambda params, node: _identity.name(node, params["name"])),
    "pvary": _first(lambda params, node: _identity.vary(node, params["axes"])),
    "copy": _first(lambda params, node: node),
    "copy_p": _first(lambda params, node: node),
}


def move(eqn: Any, inputs: Sequence[Any]) -> list[Any] | Dense | None:
    """Applies the layout rule of an equation.

    Returns its results; `Dense` if the node does not support the change; None if the operation does not change the
    layout.
    """
    name = eqn.primitive.name
    if name == "optimization_barrier":
        return _identity.barrier(inputs)
    if name not in LAYOUTS:
        return None
    moved = LAYOUTS[name](eqn.params, inputs)
    if isinstance(moved, Dense):
        return moved
    weight = next(x for x in inputs if isinstance(x, Weight))
    parts = moved if isinstance(moved, list) else [moved]
    return [Weight(part, weight.path, also=weight.also) for part in parts]
