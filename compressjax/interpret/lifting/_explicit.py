"""Meshes whose shardings are part of array types (explicit axes): rules run with the compiler's own propagation."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from compressjax.core import Node, dense
from compressjax.interpret.jaxpr._weight import Dense, Weight
from compressjax.numerics import explicit
from compressjax.tensors import Codebook, LowRank, Masked, Quantized, Sum, storage_order


def _spec(node: Any) -> list[Any]:
    """Which mesh axes the axes of the dense tensor lie on, from the arrays that have these axes."""
    if isinstance(node, Masked):
        return _spec(node.mask)
    if isinstance(node, Codebook):
        return _spec(node.codes)
    if isinstance(node, Quantized):
        stored = storage_order(len(node.shape), node.order)
        codes = _spec(node.codes)
        return [codes[stored.index(axis)] for axis in range(len(stored))]
    if isinstance(node, LowRank):
        return [*_spec(node.left)[:-1], *_spec(node.right)[node.batch + 1 :]]
    if isinstance(node, Sum):
        return _spec(node.terms[0])
    if isinstance(node, Node):
        return [None] * len(node.shape)
    spec = jax.typeof(node).sharding.spec
    return [*spec, *(None for _ in range(len(node.shape) - len(spec)))]


def dense_sharding(node: Any) -> Any:
    """The sharding of the dense tensor behind a node.

    Args:
        node: Array or node.

    Returns:
        `NamedSharding` on a mesh with explicit axes; None anywhere else.

    Example:
        >>> dense_sharding(jnp.ones(2)) is None
        True
    """
    found = [explicit(jax.typeof(leaf)) for leaf in jax.tree.leaves(node) if hasattr(leaf, "dtype")]
    mesh = next((s.mesh for s in found if s is not None), None)
    if mesh is None:
        return None
    seen: set[str] = set()
    spec = []
    for entry in _spec(node):
        axes = entry if isinstance(entry, tuple) else (entry,)
        spec.append(None if entry is None or seen & set(axes) else entry)
        seen |= set(axes)
    return jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(*spec))


def materialize(x: Any) -> jax.Array:
    """The dense tensor of a weight; where shardings are types, its type is that of the node's arrays.

    Args:
        x: Weight, node or array.

    Returns:
        The dense array.

    Example:
        >>> materialize(Masked(jnp.ones(2), jnp.array([True, False]))).tolist()
        [1.0, 0.0]
    """
    node = x.node if isinstance(x, Weight) else x
    if not isinstance(node, Node):
        return node
    sharding = dense_sharding(node)
    return dense(node) if sharding is None else jax.sharding.auto_axes(dense, out_sharding=sharding)(node)


def native(rule: Callable[..., Any], eqn: Any, inputs: Sequence[Any], operand: int) -> Any:
    """Applies the rule of a product.

    Args:
        rule: `(params, inputs, operand) -> array or Dense`.
        eqn: The equation.
        inputs: Its operands, one of which is a node.
        operand: Which one.

    Returns:
        What the rule returns, with the sharding that the equation's result has by its type.

    Example:
        >>> eqn = jax.make_jaxpr(lambda w: w + 1)(jnp.ones(2)).eqns[0]
        >>> native(lambda params, inputs, operand: inputs[operand], eqn, [jnp.ones(2)], 0).shape
        (2,)
    """
    aval = eqn.outvars[0].aval
    sharding = explicit(aval)
    if sharding is None:
        return rule(eqn.params, inputs, operand)
    refused: list[Dense] = []

    def automatically(*operands: Any) -> jax.Array:
        out = rule(eqn.params, operands, operand)
        if isinstance(out, Dense):
            refused.append(out)
            return jnp.zeros(aval.shape, aval.dtype)
        return out

    out = jax.sharding.auto_axes(automatically, out_sharding=sharding)(*inputs)
    return refused[0] if refused else out
