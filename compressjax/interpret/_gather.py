"""Rows of a node by index: embeddings stay compressed, only the rows that are read become dense."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from compressjax.core import Node
from compressjax.interpret._layout import transpose
from compressjax.interpret._weight import Dense
from compressjax.tensors import Codebook, LowRank, Masked, Quantized, Sum


def _rows(array: Any, indices: jax.Array) -> jax.Array:
    return jnp.take(array, indices, axis=0, mode="clip")


def read_rows(node: Any, indices: jax.Array) -> Any:
    """Rows of a node along axis 0, dense; indices out of range are clipped.

    Args:
        node: Array or node `[n, ...]`.
        indices: Integer array of any shape.

    Returns:
        `[*indices.shape, ...]`, or `Dense`.

    Example:
        >>> read_rows(LowRank(jnp.ones((4, 1)), jnp.ones((1, 3))), jnp.array([0, 2])).shape
        (2, 3)
    """
    if not isinstance(node, Node):
        return _rows(node, indices)
    if isinstance(node, Masked):
        inner = read_rows(node.value, indices)
        return inner if isinstance(inner, Dense) else jnp.where(_rows(node.mask, indices), inner, 0).astype(inner.dtype)
    if isinstance(node, Codebook) and node.batch == 0:
        return Codebook(node.centroids, _rows(node.codes, indices)).materialize()
    if isinstance(node, Quantized):
        return _quantized_rows(node, indices)
    if isinstance(node, LowRank) and node.batch == 0:
        if node.inputs != 1:
            return Dense("rows of a low-rank tensor are cheap only when its left factor has one input axis")
        left = read_rows(node.left, indices)
        right = node.right.materialize() if isinstance(node.right, Node) else node.right
        return left if isinstance(left, Dense) else jnp.tensordot(left, right, 1)
    if isinstance(node, Sum):
        parts = [read_rows(term, indices) for term in node.terms]
        refused = [part for part in parts if isinstance(part, Dense)]
        return refused[0] if refused else sum(parts[1:], parts[0])
    return Dense("its rows cannot be read in compressed form")


def _quantized_rows(node: Quantized, indices: jax.Array) -> Any:
    blocks, length = node.scale.shape[0], node.shape[0]
    codes = node.dense_codes() if node.order else node.codes
    block = indices * 0 if blocks == 1 else jnp.clip(indices, 0, length - 1) // (length // blocks)
    flat = indices.reshape(-1)

    def scale_rows(x: Any) -> Any:
        return None if x is None else _rows(x, block.reshape(-1))

    picked = dataclasses.replace(
        node, codes=_rows(codes, flat), scale=scale_rows(node.scale), zero_point=scale_rows(node.zero_point), order=()
    )
    return picked.materialize().reshape(*indices.shape, *node.shape[1:])


def apply_gather(node: Any, indices: jax.Array, params: dict[str, Any]) -> Any:
    """The `gather` rule, for gathers that read whole rows along one axis (`jnp.take`, embedding look-ups).

    Args:
        node: Operand, array or node.
        indices: `[..., 1]`, start indices of the equation.
        params: Parameters of the equation.

    Returns:
        Array, or `Dense` for any other gather.

    Example:
        >>> closed = jax.make_jaxpr(lambda t, i: jnp.take(t, i, axis=0))(jnp.ones((4, 3)), jnp.array([0, 9]))
        >>> len(closed.eqns) > 0
        True
    """
    numbers, sizes = params["dimension_numbers"], params["slice_sizes"]
    ndim = len(node.shape)
    if len(numbers.start_index_map) != 1 or numbers.collapsed_slice_dims != numbers.start_index_map:
        return Dense("the gather does not read whole rows along one axis")
    axis = numbers.start_index_map[0]
    if getattr(numbers, "operand_batching_dims", ()) or any(
        sizes[a] != (1 if a == axis else node.shape[a]) for a in range(ndim)
    ):
        return Dense("the gather does not read whole rows along one axis")
    if axis:
        node = transpose(node, (axis, *(a for a in range(ndim) if a != axis)))
        if isinstance(node, Dense):
            return node
    where = indices[..., 0]
    rows = read_rows(node, where)
    if isinstance(rows, Dense):
        return rows
    out_ndim = rows.ndim
    window = tuple(numbers.offset_dims)
    batch = tuple(a for a in range(out_ndim) if a not in window)
    rows = _out_of_range(rows, where, node.shape[0], params)
    return jnp.transpose(rows, tuple((*batch, *window).index(a) for a in range(out_ndim)))


def _out_of_range(rows: jax.Array, where: jax.Array, length: int, params: dict[str, Any]) -> jax.Array:
    """Fill mode puts a value (NaN by default) where the index lies outside."""
    if params["mode"] != jax.lax.GatherScatterMode.FILL_OR_DROP:
        return rows
    fill = params["fill_value"]
    fill = jnp.nan if fill is None else fill
    outside = (where < 0) | (where >= length)
    outside = outside.reshape(*outside.shape, *(1,) * (rows.ndim - outside.ndim))
    return jnp.where(outside, jnp.asarray(fill, rows.dtype), rows)
