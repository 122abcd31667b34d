"""`prepare`: from the form that is small to the form that runs fast."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from compressjax.core import Node, is_node
from compressjax.interpret._dot import as_grid
from compressjax.tensors import LowRank, Quantized, Sum, storage_order


def prepare(tree: Any) -> Any:
    """Turns stored nodes into the nodes that run fastest on this machine; the function that they compute is the same.

    Masks and float tables become dense arrays, once, instead of in every call; integer tables become `Quantized`
    codes with the summed axis last; factors and sums are kept. This trades memory for speed: the file stays as small as
    it was, the arrays in memory may not.

    Args:
        tree: A tree of arrays and nodes, as loaded from an artifact.

    Returns:
        A tree that `lift` runs; products equal those of the given tree up to rounding.

    Example:
        >>> from compressjax.tensors import Masked
        >>> prepare({"kernel": Masked(jnp.ones((2, 2)), jnp.eye(2, dtype=bool))})["kernel"].tolist()
        [[1.0, 0.0], [0.0, 1.0]]
    """
    return jax.tree.map(lambda leaf: _prepare(leaf) if is_node(leaf) else leaf, tree, is_leaf=is_node)


def _prepare(node: Any) -> Any:
    if not isinstance(node, Node):
        return node
    if isinstance(node, LowRank):
        return LowRank(_prepare(node.left), _prepare(node.right), node.inputs)
    if isinstance(node, Sum):
        return Sum(tuple(_prepare(term) for term in node.terms))
    grid = as_grid(node)
    return _fast_layout(grid) if isinstance(grid, Quantized) else node.materialize()


def _fast_layout(node: Quantized) -> Quantized:
    """Puts the input axis of a matrix last: integer products then read both operands along memory."""
    wanted = (1, 0) if len(node.shape) == 2 else ()
    if node.order == wanted:
        return node
    codes = jnp.transpose(node.dense_codes(), storage_order(len(node.shape), wanted))
    return dataclasses.replace(node, codes=codes, order=wanted)
