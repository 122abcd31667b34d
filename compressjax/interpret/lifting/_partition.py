"""From the sharding of a dense tensor to the shardings of the arrays inside its node."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import jax

from compressjax.core import Node
from compressjax.interpret.jaxpr._weight import Dense
from compressjax.tensors import Codebook, LowRank, Masked, Quantized, Sum, storage_order

Spec = jax.sharding.PartitionSpec


def partition(node: Any, spec: Any, sizes: Mapping[str, int]) -> Any:
    """The partition specs of a node's arrays under which each device holds the node of its part of the tensor.

    Args:
        node: Array or node, concrete or abstract.
        spec: `PartitionSpec` of the dense tensor.
        sizes: Devices along each mesh axis, as `mesh.shape`.

    Returns:
        The node with a spec in the place of every array; `Dense` when the node cannot be parted that way.

    Example:
        >>> import jax.numpy as jnp
        >>> partition(LowRank(jnp.ones((4, 1)), jnp.ones((1, 6))), Spec(None, "d"), {"d": 2}).right
        P(None, 'd')
    """
    axes = (*spec, *(None for _ in range(len(node.shape) - len(spec))))
    if not isinstance(node, Node):
        return Spec(*axes)
    if isinstance(node, Masked):
        inner = partition(node.value, spec, sizes)
        return inner if isinstance(inner, Dense) else Masked(inner, Spec(*axes))
    if isinstance(node, Codebook):
        table = partition(node.centroids, Spec(*axes[: node.batch]), sizes)
        return table if isinstance(table, Dense) else Codebook(table, Spec(*axes))
    if isinstance(node, Quantized):
        return _quantized(node, axes, sizes)
    if isinstance(node, LowRank):
        k = node.batch + node.inputs
        left = partition(node.left, Spec(*axes[:k]), sizes)
        right = partition(node.right, Spec(*axes[: node.batch], None, *axes[k:]), sizes)
        return next((x for x in (left, right) if isinstance(x, Dense)), LowRank(left, right, node.inputs))
    if isinstance(node, Sum):
        terms = tuple(partition(term, spec, sizes) for term in node.terms)
        return next((x for x in terms if isinstance(x, Dense)), Sum(terms))
    return Dense("its arrays have no known relation to the axes of the tensor")


def _quantized(node: Quantized, axes: tuple[Any, ...], sizes: Mapping[str, int]) -> Any:
    parts = []
    for length, blocks, axis in zip(node.shape, node.scale.shape, axes, strict=True):
        names = axis if isinstance(axis, tuple) else (axis,) if axis else ()
        devices = math.prod(sizes[name] for name in names)
        if blocks != 1 and blocks != length and blocks % devices:
            return Dense("a group of scales would lie on two devices")
        parts.append(None if blocks == 1 else axis)
    static = node.activation_scale
    return dataclasses.replace(
        node,
        codes=Spec(*(axes[axis] for axis in storage_order(len(axes), node.order))),
        scale=Spec(*parts),
        zero_point=None if node.zero_point is None else Spec(*parts),
        activation_scale=None if static is None else Spec(*axes[: len(static.shape)]),
    )
