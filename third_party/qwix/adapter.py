"""int8 products and convolutions as qwix runs them."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import qwix
from qwix.contrib import gptq_core

Program = tuple[Any, Callable[[Any, jax.Array], jax.Array]]


def quantize(kernel: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Codes and scales of a kernel on the symmetric int8 grid with one scale per output channel (last axis)."""
    array = qwix.quantize(kernel, jnp.int8, channelwise_axes=[kernel.ndim - 1])
    return array.qvalue, array.scale


def dense(kernel: jax.Array) -> Program:
    """Quantized weights `[in, out]` and the function of them and of rows `[n, in]`."""
    weights = qwix.quantize(kernel, jnp.int8, channelwise_axes=[1])

    def apply(weights: Any, x: jax.Array) -> jax.Array:
        rows = qwix.quantize(x, jnp.int8, channelwise_axes=[0])
        return qwix.dot_general(rows, weights, (((1,), (0,)), ((), ())))

    return weights, apply


def convolution(kernel: jax.Array) -> Program:
    """Quantized filters `[height, width, in, out]` and the function of them and of images `[n, height, width, in]`."""
    weights = qwix.quantize(kernel, jnp.int8, channelwise_axes=[3])

    def apply(weights: Any, x: jax.Array) -> jax.Array:
        images = qwix.quantize(x, jnp.int8, channelwise_axes=[0])
        numbers = ("NHWC", "HWIO", "NHWC")
        return qwix.conv_general_dilated(images, weights, (1, 1), "SAME", dimension_numbers=numbers)

    return weights, apply


def gptq(kernel: jax.Array, gram: jax.Array, bits: int) -> jax.Array:
    """The dense result of GPTQ for a kernel `[in, out]`, one scale per output; it works on `[out, in]`."""
    how = gptq_core.qarray.HowToQuantize(
        qtype=getattr(jnp, f"int{bits}"), channelwise_axes=[0], tiled_axes={}, calibration_method="absmax"
    )
    return qwix.dequantize(gptq_core.quantize_weight(kernel.T, gram, how)[0]).T
