"""Convolutions of int8 activations with int8 kernels, brought into the one form that XLA's CPU backend runs fast."""

import functools
from typing import Any

import jax
import jax.numpy as jnp

from compressjax.interpret.lifting._integer import quantize_activations, signed_codes, straight_through_product
from compressjax.tensors import Quantized, expand_blocks, storage_order

WINDOW = (
    "window_strides", "padding", "lhs_dilation", "rhs_dilation", "dimension_numbers", "feature_group_count",
    "batch_group_count", "precision",
)  # fmt: skip


def convolve(x: jax.Array, kernel: jax.Array, params: dict[str, Any], dtype: Any) -> jax.Array:
    """The convolution of an equation, with another kernel or result dtype.

    Args:
        x: Activations in the equation's layout.
        kernel: Dense kernel in the equation's layout.
        params: Parameters of the equation.
        dtype: Result dtype, or None.

    Returns:
        The convolved activations.

    Example:
        >>> closed = jax.make_jaxpr(lambda x, k: jax.lax.conv(x, k, (1, 1), "VALID"))(
        ...     jnp.ones((1, 1, 3, 3)), jnp.ones((1, 1, 3, 3))
        ... )
        >>> convolve(jnp.ones((1, 1, 3, 3)), jnp.ones((1, 1, 3, 3)), closed.eqns[0].params, None).item()
        9.0
    """
    return jax.lax.conv_general_dilated(x, kernel, **{key: params[key] for key in WINDOW}, preferred_element_type=dtype)


@functools.lru_cache(maxsize=1024)
def integer_conv(window: tuple[tuple[str, Any], ...]) -> Any:
    """The integer convolution with a window, jitted, so that layers of one shape share a trace.

    Args:
        window: The parameters `WINDOW` of an equation, over one or two spatial axes, without input dilation.

    Returns:
        Function of activations and a symmetric `Quantized` kernel with one scale an output channel; float32.

    Example:
        >>> closed = jax.make_jaxpr(lambda x, k: jax.lax.conv(x, k, (1, 1), "VALID"))(
        ...     jnp.ones((1, 1, 3, 3)), jnp.ones((1, 1, 3, 3))
        ... )
        >>> node = Quantized(jnp.ones((1, 1, 3, 3), jnp.int8), jnp.ones((1, 1, 1, 1)), activation="dynamic")
        >>> window = tuple((key, closed.eqns[0].params[key]) for key in WINDOW)
        >>> integer_conv(window)(jnp.full((1, 1, 3, 3), 127.0), node).item()
        1143.0
    """
    params = dict(window)
    numbers = params["dimension_numbers"]
    out_axis = numbers.rhs_spec[0]

    def integer(x: jax.Array, node: Quantized) -> jax.Array:
        # Channels go last before rounding: XLA's fast integer convolution takes no transposed int8 operand.
        x = jnp.transpose(x, (numbers.lhs_spec[0], *numbers.lhs_spec[2:], numbers.lhs_spec[1]))
        # One scale an image: a NaN in one pixel makes the whole image's result NaN.
        codes, x_scale = quantize_activations(x, tuple(range(1, x.ndim)), node)
        total = _channels_last(codes, _hwio(node, numbers.rhs_spec), params)
        width = tuple(d if a == out_axis else 1 for a, d in enumerate(node.shape))
        scale = expand_blocks(node.scale.astype(jnp.float32), width).reshape((1,) * (x.ndim - 1) + (-1,))
        out = total.astype(jnp.float32) * (x_scale * scale)
        last = (numbers.out_spec[0], *numbers.out_spec[2:], numbers.out_spec[1])
        return jnp.transpose(out, [last.index(a) for a in range(x.ndim)])

    def floating(x: jax.Array, node: Quantized) -> jax.Array:
        return convolve(x, node.materialize(), params, None)

    return jax.jit(straight_through_product(integer, floating))


def _hwio(node: Quantized, spec: tuple[int, ...]) -> jax.Array:
    """The int8 kernel as `[*spatial, in, out]`."""
    codes, _ = signed_codes(node)
    stored = storage_order(codes.ndim, node.order)
    order = [stored.index(a) for a in (*spec[2:], spec[1], spec[0])]
    if order == list(range(codes.ndim)):
        return codes
    # In two pieces: a single transpose of int8 codes would keep XLA from its fast integer convolution.
    out = order[-1]
    pieces = [jax.lax.slice_in_dim(codes, 0, 1, axis=out), jax.lax.slice_in_dim(codes, 1, None, axis=out)]
    return jnp.concatenate([jnp.transpose(piece, order) for piece in pieces], axis=-1)


def _channels_last(x: jax.Array, w: jax.Array, params: dict[str, Any]) -> jax.Array:
    """The int32 convolution as NHWC with an HWIO kernel over two axes; other forms are 5 to 100 times slower."""
    strides, dilation, padding = params["window_strides"], params["rhs_dilation"], params["padding"]
    line = x.ndim == 3
    if line:
        x, w = x[:, None], w[None]
        strides, dilation, padding = (1, *strides), (1, *dilation), ((0, 0), *padding)
    out = jax.lax.conv_general_dilated(
        x, w, strides, padding, rhs_dilation=dilation, dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=params["feature_group_count"], preferred_element_type=jnp.int32,
    )  # fmt: skip
    return out[:, 0] if line else out
