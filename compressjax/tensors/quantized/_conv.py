"""Convolutions of int8 activations with int8 kernels, in the one layout that XLA's CPU backend runs fast."""

import dataclasses
import functools
import math
from typing import Any

import jax
import jax.numpy as jnp

from compressjax.core import Convolution, Dense
from compressjax.tensors.quantized._grid import Grid, expand_blocks
from compressjax.tensors.quantized._rounding import (
    quantize_activations,
    refusal,
    signed_codes,
    straight_through_product,
)

# With fewer terms per sum, rounding the activations costs more than integer products save (two-core CPU, JAX 0.10 and
# 0.12: 3x3 kernels are faster from 24 input channels on; depthwise and one-channel kernels are 2 to 8 times slower).
FEWEST_TERMS = 200


def integer_conv(x: jax.Array, node: Grid, c: Convolution) -> Any:
    """Convolves activations, rounded to int8, with an integer grid; returns `Dense` with a reason if it cannot."""
    out_axis = c.dimension_numbers.rhs_spec[0]
    terms = math.prod(d for a, d in enumerate(node.shape) if a != out_axis)
    reason = refusal(x, node, terms)
    if any(s != 1 for a, s in enumerate(node.scale.shape) if a != out_axis):
        reason = "scales change along the summed axes, so integer sums cannot be scaled afterwards"
    elif c.batch_group_count != 1:
        reason = "integer convolutions with batch groups are not implemented"
    elif node.zero_point is not None:
        reason = "padding does not commute with a zero point; use a symmetric grid for integer convolutions"
    elif any(step != 1 for step in c.lhs_dilation):
        reason = "integer convolutions with input dilation are slower than dense ones"
    elif x.ndim not in (3, 4):
        reason = "integer convolutions are faster than dense ones only over one or two dimensions"
    elif terms < FEWEST_TERMS:
        reason = f"sums of fewer than {FEWEST_TERMS} products are faster in floating point"
    if reason:
        return Dense(reason)
    out = rounded_conv(dataclasses.replace(c, dtype=None))(x, node)
    return out.astype(c.dtype or jnp.result_type(x.dtype, node.dtype))


@functools.lru_cache(maxsize=1024)
def rounded_conv(c: Convolution) -> Any:
    """Returns a jitted float32 convolution with a symmetric grid that has a scale per output channel.

    It supports one or two spatial axes without input dilation. Layers of the same shape share its trace.
    """
    numbers = c.dimension_numbers
    out_axis = numbers.rhs_spec[0]

    def integer(x: jax.Array, node: Grid) -> jax.Array:
        # Move channels last before rounding: XLA's fast integer convolution does not take a transposed int8 operand.
        x = jnp.transpose(x, (numbers.lhs_spec[0], *numbers.lhs_spec[2:], numbers.lhs_spec[1]))
        # A scale per image: a NaN in one pixel makes the whole result of that image NaN.
        codes, x_scale = quantize_activations(x, tuple(range(1, x.ndim)), node)
        total = _channels_last(codes, _hwio(node, numbers.rhs_spec), c)
        width = tuple(d if a == out_axis else 1 for a, d in enumerate(node.shape))
        scale = expand_blocks(node.scale.astype(jnp.float32), width).reshape((1,) * (x.ndim - 1) + (-1,))
        out = total.astype(jnp.float32) * (x_scale * scale)
        last = (numbers.out_spec[0], *numbers.out_spec[2:], numbers.out_spec[1])
        return jnp.transpose(out, [last.index(a) for a in range(x.ndim)])

    def floating(x: jax.Array, node: Grid) -> jax.Array:
        return c.dense(x, node.materialize())

    return jax.jit(straight_through_product(integer, floating))


def _hwio(node: Grid, spec: tuple[int, ...]) -> jax.Array:
    """The int8 kernel as `[*spatial, in, out]`."""
    codes, _ = signed_codes(node)
    places = node.places()
    order = [places[a] for a in (*spec[2:], spec[1], spec[0])]
    if order == list(range(codes.ndim)):
        return codes
    # Transpose in two pieces: after a single transpose of int8 codes, XLA would not use its fast convolution.
    out = order[-1]
    pieces = [jax.lax.slice_in_dim(codes, 0, 1, axis=out), jax.lax.slice_in_dim(codes, 1, None, axis=out)]
    return jnp.concatenate([jnp.transpose(piece, order) for piece in pieces], axis=-1)


def _channels_last(x: jax.Array, w: jax.Array, c: Convolution) -> jax.Array:
    """Runs the int32 convolution in NHWC with an HWIO kernel; other layouts are 5 to 100 times slower."""
    strides, dilation, padding = c.window_strides, c.rhs_dilation, c.padding
    line = x.ndim == 3
    if line:
        x, w = x[:, None], w[None]
        strides, dilation, padding = (1, *strides), (1, *dilation), ((0, 0), *padding)
    out = jax.lax.conv_general_dilated(
        x, w, strides, padding, rhs_dilation=dilation, dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=c.feature_group_count, preferred_element_type=jnp.int32,
    )  # fmt: skip
    return out[:, 0] if line else out
