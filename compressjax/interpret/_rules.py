"""Which operation has which rule for nodes: the table that `lift` looks things up in."""

from collections.abc import Callable, Sequence
from typing import Any

import jax

from compressjax.interpret._conv import apply_conv
from compressjax.interpret._dot import apply_dot
from compressjax.interpret._gather import apply_gather
from compressjax.interpret._layout import convert, cut, reshape, transpose
from compressjax.interpret._weight import Dense, Weight, varying_axes

Rule = Callable[[dict[str, Any], Sequence[Any]], Any]


def _dot(params: dict[str, Any], inputs: Sequence[Any]) -> Any:
    lhs, rhs = (x.node if isinstance(x, Weight) else x for x in inputs)
    if isinstance(inputs[0], Weight) and isinstance(inputs[1], Weight):
        return apply_dot(inputs[0].materialize(), rhs, params, node_is_lhs=False)
    return apply_dot(lhs, rhs, params, node_is_lhs=isinstance(inputs[0], Weight))


def _conv(params: dict[str, Any], inputs: Sequence[Any]) -> Any:
    x, kernel = inputs
    if isinstance(x, Weight) or not isinstance(kernel, Weight):
        return Dense("the node is the image, not the kernel")
    return apply_conv(x, kernel.node, params)


def _gather(params: dict[str, Any], inputs: Sequence[Any]) -> Any:
    if not isinstance(inputs[0], Weight) or isinstance(inputs[1], Weight):
        return Dense("the node holds the indices")
    return apply_gather(inputs[0].node, inputs[1], params)


def _broadcast(params: dict[str, Any], inputs: Sequence[Any]) -> Any:
    node, shape, axes = inputs[0].node, params["shape"], params["broadcast_dimensions"]
    grown = [shape[a] for a in axes]
    if list(node.shape) != grown or sorted(axes) != list(axes) or len(inputs) > 1:
        return Dense("broadcast over new entries")
    if any(d != 1 for a, d in enumerate(shape) if a not in axes):
        return Dense("broadcast over new entries")
    return reshape(node, shape)


def _slice(params: dict[str, Any], inputs: Sequence[Any]) -> Any:
    strides = params["strides"] or (1,) * len(inputs[0].shape)
    return cut(inputs[0].node, params["start_indices"], params["limit_indices"], strides)


def _squeeze(params: dict[str, Any], inputs: Sequence[Any]) -> Any:
    node = inputs[0].node
    return reshape(node, [d for a, d in enumerate(node.shape) if a not in params["dimensions"]])


def _reshape(params: dict[str, Any], inputs: Sequence[Any]) -> Any:
    if params["dimensions"] is not None or len(inputs) > 1:
        return Dense("a reshape with a permutation or dynamic sizes")
    return reshape(inputs[0].node, params["new_sizes"])


def _pvary(params: dict[str, Any], inputs: Sequence[Any]) -> Any:
    """Marks every array of the node as differing between devices, as `shard_map` asks before a product."""

    def mark(leaf: Any) -> Any:
        axes = tuple(a for a in params["axes"] if a not in varying_axes(leaf))
        return jax.lax.pcast(leaf, axes, to="varying") if axes else leaf

    return jax.tree.map(mark, inputs[0].node)


# Products: the result is an ordinary array.
PRODUCTS: dict[str, Rule] = {"dot_general": _dot, "conv_general_dilated": _conv, "gather": _gather}

# Layout: the result is the same weight in another form, and stays compressed.
LAYOUTS: dict[str, Rule] = {
    "transpose": lambda params, inputs: transpose(inputs[0].node, params["permutation"]),
    "reshape": _reshape,
    "squeeze": _squeeze,
    "expand_dims": _reshape,
    "broadcast_in_dim": _broadcast,
    "convert_element_type": lambda params, inputs: convert(inputs[0].node, params["new_dtype"]),
    "slice": _slice,
    "pvary": _pvary,
    "copy": lambda params, inputs: inputs[0].node,
    "copy_p": lambda params, inputs: inputs[0].node,
}
