"""The `gather` rule: embeddings stay compressed, and only the rows that are read become dense."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from compressjax.core import Dense, ops

_MODES = (
    jax.lax.GatherScatterMode.CLIP,
    jax.lax.GatherScatterMode.FILL_OR_DROP,
    jax.lax.GatherScatterMode.PROMISE_IN_BOUNDS,
)


def apply_gather(params: dict[str, Any], inputs: Sequence[Any], operand: int = 0) -> Any:
    """Takes whole rows of the node (operand 0) along one axis, as `jnp.take` does; `Dense` for other gathers."""
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
        node = ops.transpose(node, (axis, *(a for a in range(ndim) if a != axis)))
        if isinstance(node, Dense):
            return node
    if params["mode"] not in _MODES:
        return Dense(f"gather mode {params['mode']} is not implemented")
    where = indices[..., 0].astype(jnp.int32)
    rows = ops.rows(node, where.reshape(-1))
    if isinstance(rows, Dense):
        return rows
    rows = _out_of_range(rows.reshape(*where.shape, *rows.shape[1:]), where, node.shape[0], params)
    window = tuple(numbers.offset_dims)
    batch = tuple(a for a in range(rows.ndim) if a not in window)
    return jnp.transpose(rows, tuple((*batch, *window).index(a) for a in range(rows.ndim)))


def _out_of_range(rows: jax.Array, where: jax.Array, length: int, params: dict[str, Any]) -> jax.Array:
    """In fill mode, sets rows with an index out of range to a value (NaN by default)."""
    if params["mode"] != jax.lax.GatherScatterMode.FILL_OR_DROP:
        return rows
    fill = params["fill_value"]
    fill = jnp.nan if fill is None else fill
    outside = (where < 0) | (where >= length)
    outside = outside.reshape(*outside.shape, *(1,) * (rows.ndim - outside.ndim))
    return jnp.where(outside, jnp.asarray(fill, rows.dtype), rows)
