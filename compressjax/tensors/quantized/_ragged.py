"""Ragged products of int8 activations with int8 codes: a matrix per expert, for rows sorted by expert."""

import functools
from typing import Any

import jax
import jax.numpy as jnp

from compressjax.core import Dense, Ragged
from compressjax.tensors.quantized._grid import Grid, expand_blocks
from compressjax.tensors.quantized._rounding import (
    quantize_activations,
    refusal,
    signed_codes,
    straight_through_product,
)


def integer_ragged(x: jax.Array, node: Grid, ragged: Ragged) -> Any:
    """Multiplies sorted rows, rounded to int8, with the grids `[experts, in, out]`; sums are exact in int32."""
    reason = refusal(x, node, node.shape[1])
    if node.scale.shape[1] != 1:
        reason = "scales change along the summed axis of the experts"
    if reason:
        return Dense(reason)
    out = _function(ragged.precision)(x, node, ragged.sizes)
    return out.astype(ragged.dtype or jnp.result_type(x.dtype, node.dtype))


@functools.lru_cache(maxsize=64)
def _function(precision: Any) -> Any:
    """The jitted product; layers of the same shape share its trace."""

    def integer(x: jax.Array, node: Grid, sizes: jax.Array) -> jax.Array:
        rows, (experts, _, outputs) = x.shape[0], node.shape
        codes, x_scale = quantize_activations(x, (1,), node)
        weights, zero_point = signed_codes(node)
        whole = Ragged(sizes, None, jnp.dtype(jnp.int32))
        total = whole.dense(codes, jnp.transpose(weights, node.places()))

        def of_rows(v: jax.Array) -> jax.Array:
            return whole.of_rows(expand_blocks(v, (experts, 1, outputs))[:, 0], rows)

        if zero_point is not None:
            inside = jnp.arange(rows) < jnp.sum(sizes)  # rows of no expert stay zero
            sums = jnp.sum(codes, axis=1, keepdims=True, dtype=jnp.int32) * inside[:, None]
            total = total - of_rows(zero_point) * sums
        return total.astype(jnp.float32) * (x_scale * of_rows(node.scale.astype(jnp.float32)))

    def floating(x: jax.Array, node: Grid, sizes: jax.Array) -> jax.Array:
        return Ragged(sizes, precision).dense(x, node.materialize())

    return jax.jit(straight_through_product(integer, floating))
