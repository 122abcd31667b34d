"""Rows of a node by index: embeddings stay compressed, only the rows that are read become dense."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from compressjax.core import Node
from compressjax.interpret.jaxpr._weight import Dense
from compressjax.interpret.lifting._layout import rebuild, transpose
from compressjax.tensors import Codebook, LowRank, Masked, Quantized, Sum, storage_order

_MODES = (
    jax.lax.GatherScatterMode.CLIP,
    jax.lax.GatherScatterMode.FILL_OR_DROP,
    jax.lax.GatherScatterMode.PROMISE_IN_BOUNDS,
)


def _rows(array: Any, indices: jax.Array, axis: int = 0) -> jax.Array:
    return jnp.take(array, indices, axis=axis, mode="clip")


def read_rows(node: Any, indices: jax.Array) -> Any:
    """Rows of a node along axis 0, dense; indices out of range are clipped.

    Args:
        node: Array or node `[n, ...]`.
        indices: `[k]`, signed integers.

    Returns:
        `[k, ...]`, or `Dense`.

    Example:
        >>> read_rows(LowRank(jnp.ones((4, 1)), jnp.ones((1, 3))), jnp.array([0, 2])).shape
        (2, 3)
    """
    if not isinstance(node, Node):
        return _rows(node, indices)
    if isinstance(node, Masked):
        inner = read_rows(node.value, indices)
        return rebuild(lambda rows: Masked(rows, _rows(node.mask, indices)).materialize(), inner)
    if isinstance(node, Codebook):
        table = read_rows(node.centroids, indices) if node.batch else node.centroids
        return rebuild(lambda t: Codebook(t, _rows(node.codes, indices)).materialize(), table)
    if isinstance(node, Quantized):
        return _quantized_rows(node, indices)
    if isinstance(node, LowRank):
        left = read_rows(node.left, indices)
        right = read_rows(node.right, indices) if node.batch else node.right
        return rebuild(lambda x, y: LowRank(x, y, node.inputs).materialize(), left, right)
    if isinstance(node, Sum):
        parts = [read_rows(term, indices) for term in node.terms]
        return rebuild(lambda *rows: Sum(rows).materialize(), *parts)
    return Dense("its rows cannot be read in compressed form")


def _quantized_rows(node: Quantized, indices: jax.Array) -> jax.Array:
    """Reads along the stored axis: the table keeps its layout, only the rows that were read change theirs."""
    blocks, length = node.scale.shape[0], node.shape[0]
    stored = storage_order(len(node.shape), node.order)
    codes = jnp.transpose(_rows(node.codes, indices, stored.index(0)), [stored.index(a) for a in range(len(stored))])
    block = jnp.clip(indices, 0, length - 1) // (length // blocks)

    def of_rows(x: Any) -> Any:
        return None if x is None else _rows(x, block)

    return dataclasses.replace(
        node, codes=codes, scale=of_rows(node.scale), zero_point=of_rows(node.zero_point), order=()
    ).materialize()


def apply_gather(params: dict[str, Any], inputs: Sequence[Any], operand: int = 0) -> Any:
    """The `gather` rule, for gathers that read whole rows along one axis (`jnp.take`, embedding look-ups).

    Args:
        params: Parameters of the equation.
        inputs: Array or node, and start indices `[..., 1]`.
        operand: 0, the place of the node.

    Returns:
        Array, or `Dense` for any other gather.

    Example:
        >>> closed = jax.make_jaxpr(lambda t, i: jnp.take(t, i, axis=0))(jnp.ones((4, 3)), jnp.array([0, 9]))
        >>> len(closed.eqns) > 0
        True
    """
    node, indices = inputs[operand], inputs[1]
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
    if params["mode"] not in _MODES:
        return Dense(f"gather mode {params['mode']} is not written")
    where = indices[..., 0].astype(jnp.int32)
    rows = read_rows(node, where.reshape(-1))
    if isinstance(rows, Dense):
        return rows
    rows = _out_of_range(rows.reshape(*where.shape, *rows.shape[1:]), where, node.shape[0], params)
    window = tuple(numbers.offset_dims)
    batch = tuple(a for a in range(rows.ndim) if a not in window)
    return jnp.transpose(rows, tuple((*batch, *window).index(a) for a in range(rows.ndim)))


def _out_of_range(rows: jax.Array, where: jax.Array, length: int, params: dict[str, Any]) -> jax.Array:
    """Fill mode puts a value (NaN by default) where the index lies outside."""
    if params["mode"] != jax.lax.GatherScatterMode.FILL_OR_DROP:
        return rows
    fill = params["fill_value"]
    fill = jnp.nan if fill is None else fill
    outside = (where < 0) | (where >= length)
    outside = outside.reshape(*outside.shape, *(1,) * (rows.ndim - outside.ndim))
    return jnp.where(outside, jnp.asarray(fill, rows.dtype), rows)
