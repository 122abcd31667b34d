"""Rounding of activations to int8, and helpers of integer products."""

from typing import Any

import jax
import jax.numpy as jnp

from compressjax.tensors.quantized._grid import Grid

LIMIT = 127
LOST = -128
SMALLEST = 2.0**-100  # its reciprocal times 127 is still finite in float32


def quantize_activations(x: jax.Array, axes: tuple[int, ...], node: Grid) -> tuple[jax.Array, jax.Array]:
    """Rounds activations to int8, with a scale per slice over `axes` or the node's static scale.

    .. math:: q = clip(round(x / s), -127, 127), \\quad s = \\max |x| / 127

    A slice with a NaN or infinity gets the scale NaN or infinity, so all of its results are NaN: such input never
    becomes finite. The scale is at least 2^-100 / 127. A static scale saves the pass over the floats that finds the
    largest.

    Source: Jacob et al., arXiv:1712.05877.
    """
    x = x.astype(jnp.float32)
    if node.activation == "static":
        scale = jnp.reshape(jnp.asarray(node.activation_scale, jnp.float32), (1,) * x.ndim)
        steps = jnp.round(x / scale)
        # The code -128, which no number has, marks what is not finite: the codes are read once more, not the floats.
        codes = jnp.where(jnp.isfinite(x), jnp.clip(steps, -LIMIT, LIMIT), LOST).astype(jnp.int8)
        lowest = jnp.min(codes, axis=axes, keepdims=True, initial=LIMIT)
        return codes, jnp.where(lowest == LOST, jnp.nan, scale)
    largest = jnp.max(jnp.abs(x), axis=axes, keepdims=True, initial=0.0)
    largest = jnp.maximum(largest, SMALLEST)
    # |x| * (127 / max|x|) exceeds 127 by rounding at most, never 127.5: no clip is needed.
    return jnp.round(x * (LIMIT / largest)).astype(jnp.int8), largest / LIMIT


def refusal(x: jax.Array, node: Grid, terms: int) -> str:
    """Reason why activations cannot be multiplied with a grid in integers; empty if they can."""
    if not jnp.issubdtype(x.dtype, jnp.floating):
        return f"activations of type {x.dtype} cannot be rounded to int8"
    widest = 128 if node.zero_point is None else 255
    if terms > (2**31 - 1) // (LIMIT * widest):
        return f"sums of {terms} products of int8 numbers may overflow int32"
    if node.activation == "static" and getattr(node.activation_scale, "size", 1) != 1:
        return "it has an activation scale per layer; index the stacked layers or scan over them"
    return ""


def signed_codes(node: Grid) -> tuple[jax.Array, jax.Array | None]:
    """The node's stored codes as int8, and their zero point (None if symmetric)."""
    codes: Any = node.codes
    if codes.dtype == jnp.int8:
        return codes, node.zero_point
    if node.bits < 8:
        return codes.astype(jnp.int8), node.zero_point
    zero = jnp.zeros((1,) * len(node.scale.shape), jnp.int32) if node.zero_point is None else node.zero_point
    return (codes.astype(jnp.int16) - 128).astype(jnp.int8), zero - 128


def straight_through_product(integer: Any, dense: Any) -> Any:
    """Returns a function with the values of `integer(x, node)` and the derivatives of `dense(x, node)`."""
    product = jax.custom_jvp(integer)

    @product.defjvp
    def _jvp(primals: Any, tangents: Any) -> Any:
        out = product(*primals)
        _, tangent = jax.jvp(dense, primals, tangents)
        return out, tangent.astype(out.dtype)

    return product
