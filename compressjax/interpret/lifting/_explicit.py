"""Explicit mesh axes, where shardings are part of array types: rules run under automatic sharding."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from compressjax.core import Dense, Node, dense, ops
from compressjax.interpret.jaxpr._weight import Weight
from compressjax.numerics._explicit import automatically, explicit


def dense_sharding(node: Any) -> Any:
    """Sharding of the dense tensor of a node on a mesh with explicit axes; None on any other mesh."""
    found = [explicit(jax.typeof(leaf)) for leaf in jax.tree.leaves(node) if hasattr(leaf, "dtype")]
    mesh = next((s.mesh for s in found if s is not None), None)
    if mesh is None:
        return None
    taken: set[str] = set()
    spec = []
    for entry in ops.mesh_axes(node):
        axes = entry if isinstance(entry, tuple) else (entry,)
        spec.append(None if entry is None or taken & set(axes) else entry)
        taken |= set(axes)
    return jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(*spec))


def materialize(x: Any) -> jax.Array:
    """Dense tensor of a weight; on explicit mesh axes, with the sharding of the node's arrays."""
    node = x.node if isinstance(x, Weight) else x
    if not isinstance(node, Node):
        return node
    sharding = dense_sharding(node)
    return dense(node) if sharding is None else automatically(dense, sharding)(node)


def native(rule: Callable[..., Any], eqn: Any, inputs: Sequence[Any], operand: int) -> Any:
    """Applies the rule of a product; on explicit mesh axes, with the sharding of the equation's result."""
    aval = eqn.outvars[0].aval
    sharding = explicit(aval)
    if sharding is None:
        return rule(eqn.params, inputs, operand)
    refused: list[Dense] = []

    def under(*operands: Any) -> jax.Array:
        out = rule(eqn.params, operands, operand)
        if isinstance(out, Dense):
            refused.append(out)
            return jnp.zeros(aval.shape, aval.dtype)
        return out

    out = automatically(under, sharding)(*inputs)
    return refused[0] if refused else out
