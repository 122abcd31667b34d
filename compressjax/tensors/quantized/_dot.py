"""Matrix products of int8 activations with int8 codes, group by group if scales vary along the summed axis."""

import dataclasses
import functools
import math
from typing import Any

import jax
import jax.numpy as jnp

from compressjax.core import Dense, Product
from compressjax.tensors.quantized._grid import Grid, expand_blocks
from compressjax.tensors.quantized._rounding import (
    quantize_activations,
    refusal,
    signed_codes,
    straight_through_product,
)

# With fewer terms per group, the loop over groups costs more than it saves.
SMALLEST_GROUP = 16


def integer_dot(x: jax.Array, node: Grid, p: Product) -> Any:
    """Multiplies activations, rounded to int8, with an integer grid; sums are exact in int32.

    If scales vary along one summed axis, a loop sums one group of integers at a time. From 32 terms per group on, this
    is at least as fast as a dense product of prepared weights, and several times faster than materializing the weights
    in every call.
    """
    terms = math.prod(node.shape[a] for a in p.sum)
    reason = refusal(x, node, terms)
    grouped = [a for a in p.sum if node.scale.shape[a] != 1]
    if len(grouped) > 1:
        reason = "scales change along several summed axes"
    elif grouped and terms // node.scale.shape[grouped[0]] < SMALLEST_GROUP:
        reason = f"scales change after fewer than {SMALLEST_GROUP} terms of a sum"
    if reason:
        return Dense(reason)
    out = _function(p, grouped[0] if grouped else None)(x, node)
    return out.astype(p.dtype or jnp.result_type(x.dtype, node.dtype))


@functools.lru_cache(maxsize=1024)
def _function(p: Product, grouped: int | None) -> Any:
    """One jitted function per product; layers of the same shape share its trace."""

    def integer(x: jax.Array, node: Grid) -> jax.Array:
        codes, x_scale = quantize_activations(x, p.x_sum, node)
        free = p.x_free(x.ndim)
        unknown = next((a for a in free if not isinstance(x.shape[a], int)), None)
        if unknown is not None:  # a symbolic size of an exported program: it may be one
            pad = [(0, int(a == unknown)) for a in range(x.ndim)]
            more = _product(jnp.pad(codes, pad), jnp.pad(x_scale, pad), node, p, grouped)
            axis = len(p.x_batch) + free.index(unknown)
            return jax.lax.slice_in_dim(more, 0, x.shape[unknown], axis=axis)
        if math.prod(x.shape[a] for a in free) != 1:
            return _product(codes, x_scale, node, p, grouped)
        # XLA's CPU backend is slow for a single row; a second row of zeros avoids this.
        two = jnp.stack([codes, jnp.zeros_like(codes)])
        later = dataclasses.replace(p, x_sum=_shifted(p.x_sum), x_batch=_shifted(p.x_batch))
        both = _product(two, x_scale[None], node, later, grouped)
        return jax.lax.index_in_dim(both, 0, axis=len(p.x_batch), keepdims=False)

    def floating(x: jax.Array, node: Grid) -> jax.Array:
        return p.dense(x, node.materialize())

    return jax.jit(straight_through_product(integer, floating))


def _shifted(axes: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(a + 1 for a in axes)


def _product(codes: jax.Array, x_scale: jax.Array, node: Grid, p: Product, grouped: int | None) -> jax.Array:
    if grouped is None:
        return _scaled(_sums(codes, node, p), codes, x_scale, node, p)
    blocks = node.scale.shape[grouped]
    size = node.shape[grouped] // blocks
    of_x = p.x_sum[p.sum.index(grouped)]
    of_codes = node.places()[grouped]

    def part(i: Any) -> jax.Array:
        rows = jax.lax.dynamic_slice_in_dim(codes, i * size, size, of_x)
        scales: dict[str, Any] = {
            name: jax.lax.dynamic_slice_in_dim(v, i, 1, grouped)
            for name, v in (("scale", node.scale), ("zero_point", node.zero_point))
            if v is not None
        }
        piece = jax.lax.dynamic_slice_in_dim(node.codes, i * size, size, of_codes)
        group = node.replace(codes=piece, **scales)
        return _scaled(_sums(rows, group, p), rows, x_scale, group, p)

    return jax.lax.fori_loop(1, blocks, lambda i, total: total + part(i), part(0))


def _sums(codes: jax.Array, node: Grid, p: Product) -> jax.Array:
    """Sums of int8 products in int32, with the node's free axes in the order of its dense axes."""
    weights, _ = signed_codes(node)
    where = node.places()
    numbers = ((p.x_sum, tuple(where[a] for a in p.sum)), (p.x_batch, tuple(where[a] for a in p.batch)))
    out = jax.lax.dot_general(codes, weights, numbers, preferred_element_type=jnp.int32)
    free = p.free(weights.ndim)
    got = sorted(free, key=lambda a: where[a])
    lead = out.ndim - len(free)
    order = (*range(lead), *(lead + got.index(a) for a in free))
    return out if order == tuple(range(out.ndim)) else jnp.transpose(out, order)


def _scaled(total: jax.Array, codes: jax.Array, x_scale: jax.Array, node: Grid, p: Product) -> jax.Array:
    """Subtracts the zero point and scales the integer sums: s_x s_w (sum q_x q_w - z sum q_x)."""
    _, zero_point = signed_codes(node)
    x_free, free = p.x_free(codes.ndim), p.free(len(node.shape))

    def of_x(v: jax.Array) -> jax.Array:
        moved = jnp.transpose(v, (*p.x_batch, *x_free, *p.x_sum))
        return moved.reshape(*moved.shape[: len(p.x_batch) + len(x_free)], *(1,) * len(free))

    def of_node(v: jax.Array) -> jax.Array:
        dims = tuple(1 if a in p.sum else d for a, d in enumerate(node.shape))
        moved = jnp.transpose(expand_blocks(v, dims), (*p.batch, *free, *p.sum))
        lead, tail = moved.shape[: len(p.batch)], moved.shape[len(p.batch) : len(p.batch) + len(free)]
        return moved.reshape(*lead, *(1,) * len(x_free), *tail)

    if zero_point is not None:
        row_sums = jnp.sum(codes, axis=p.x_sum, keepdims=True, dtype=jnp.int32)
        total = total - of_node(zero_point) * of_x(row_sums)
    # Multiply the scales first: a large sum times a large activation scale could overflow float32.
    return total.astype(jnp.float32) * (of_x(x_scale) * of_node(node.scale.astype(jnp.float32)))
