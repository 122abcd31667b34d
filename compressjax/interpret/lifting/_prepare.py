"""`prepare`: from the form that is small to the form that runs fast."""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp

from compressjax.core import Node, is_node
from compressjax.interpret.lifting._conv import FEWEST_TERMS
from compressjax.interpret.lifting._dot import as_grid
from compressjax.tensors import LowRank, Quantized, Sum, storage_order

# Matrices of fewer entries are multiplied faster in floating point than rounded activations are (two-core CPU, JAX
# 0.10 and 0.12: 256 x 256 is even); so are grids whose scales change after fewer terms of a sum than this.
FEWEST_ENTRIES = 1 << 16
SHORTEST_GROUP = 64


def prepare(tree: Any) -> Any:
    """Turns stored nodes into the nodes that run fastest on this machine; the function that they compute is the same.

    Masks, float tables and small integer matrices become dense arrays, once, instead of in every call; larger integer
    grids become `Quantized` codes, matrices with the summed axis last; factors and sums are kept. This trades memory
    for speed: the file stays as small as it was, the arrays in memory may not.

    Args:
        tree: A tree of arrays and nodes, as loaded from an artifact.

    Returns:
        A tree that `lift` runs; results equal those of the given tree up to rounding, that of activations included.

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
        return _prepare_sum(node)
    grid = as_grid(node)
    return _fast_layout(grid) if isinstance(grid, Quantized) and _pays(grid) else node.materialize()


def _prepare_sum(node: Sum) -> Any:
    """Dense terms become one array; a sum of nothing else is that array."""
    terms = [_prepare(term) for term in node.terms]
    kept = [term for term in terms if isinstance(term, Node)]
    arrays = [term for term in terms if not isinstance(term, Node)]
    if arrays:
        kept.append(sum(arrays[1:], arrays[0]))
    return kept[0] if len(kept) == 1 else Sum(tuple(kept))


def _pays(node: Quantized) -> bool:
    """Whether integer products on a grid are faster than dense ones on prepared weights."""
    shape = node.shape
    groups = [d // s for d, s in zip(shape[:-1], node.scale.shape[:-1], strict=True) if s not in (1, d)]
    if groups and min(groups) < SHORTEST_GROUP:
        return False
    if len(shape) != 4:
        return len(shape) <= 3 and math.prod(shape) >= FEWEST_ENTRIES
    # Four axes are a convolution kernel, with the outputs first or last.
    return node.zero_point is None and math.prod(shape) >= FEWEST_TERMS * max(shape[0], shape[-1])


def _fast_layout(node: Quantized) -> Quantized:
    """Puts the input axis of a matrix last: integer products then read both operands along memory."""
    wanted = (1, 0) if len(node.shape) == 2 else ()
    if node.order == wanted:
        return node
    codes = jnp.transpose(node.dense_codes(), storage_order(len(node.shape), wanted))
    return dataclasses.replace(node, codes=codes, order=wanted)
