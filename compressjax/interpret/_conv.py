"""Convolutions with a node as the kernel: groups, strides, dilation, depthwise."""

import functools
import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from compressjax.core import Node, dense
from compressjax.interpret._dot import as_grid, dot, sum_of_terms
from compressjax.interpret._integer import quantize_activations, refusal, signed_codes, straight_through_product
from compressjax.interpret._product import Product
from compressjax.interpret._weight import Dense
from compressjax.tensors import LowRank, Quantized, Sum, expand_blocks, storage_order

_WINDOW = (
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
    return jax.lax.conv_general_dilated(
        x, kernel, **{key: params[key] for key in _WINDOW}, preferred_element_type=dtype
    )


def apply_conv(params: dict[str, Any], inputs: Sequence[Any], operand: int = 1) -> Any:
    """The `conv_general_dilated` rule for a kernel that is a node.

    Args:
        params: Parameters of the equation.
        inputs: Activations, and the kernel: array or node.
        operand: 1, the place of the kernel.

    Returns:
        Array, or `Dense`.

    Example:
        >>> closed = jax.make_jaxpr(lambda x, k: jax.lax.conv(x, k, (1, 1), "VALID"))(
        ...     jnp.ones((1, 1, 3, 3)), jnp.ones((1, 1, 3, 3))
        ... )
        >>> apply_conv(closed.eqns[0].params, [jnp.ones((1, 1, 3, 3)), jnp.ones((1, 1, 3, 3))]).shape
        (1, 1, 1, 1)
    """
    x, node = inputs[0], inputs[operand]
    if not isinstance(node, Node):
        return convolve(x, jnp.asarray(node), params, params["preferred_element_type"])
    if isinstance(node, LowRank):
        return _low_rank(x, node, params)
    if isinstance(node, Sum):
        dtype = params["preferred_element_type"]
        return sum_of_terms(
            node, lambda term: apply_conv(params, [x, term]), lambda kernel: convolve(x, kernel, params, dtype)
        )
    grid = as_grid(node)
    return grid if isinstance(grid, Dense) else _quantized(x, grid, params)


def _or_dense(x: jax.Array, node: Any, params: dict[str, Any]) -> jax.Array:
    out = apply_conv(params, [x, node])
    return convolve(x, dense(node), params, params["preferred_element_type"]) if isinstance(out, Dense) else out


def _low_rank(x: jax.Array, node: LowRank, params: dict[str, Any]) -> Any:
    """A thin convolution, then a product over channels: `[h, w, in, r]` and `[r, out]`, or the same transposed."""
    numbers = params["dimension_numbers"]
    kernel_out, last = numbers.rhs_spec[0], len(node.shape) - 1
    if params["feature_group_count"] != 1 or params["batch_group_count"] != 1:
        return Dense("low-rank kernels of grouped convolutions have no thinner form")
    # The thin kernel has the kernel's own axes, with the rank in the place of the output channels.
    if not node.batch and kernel_out == last and node.inputs == last:
        kernel, mix, axis = node.left, node.right, 0
    elif not node.batch and kernel_out == 0 and node.inputs == 1:
        kernel, mix, axis = node.right, node.left, 1
    else:
        return Dense("the factors do not split the kernel into inputs and output channels")
    thin = _or_dense(x, kernel, params)
    channel = numbers.out_spec[1]
    product = Product((channel,), (), (axis,), (), params["precision"], params["preferred_element_type"])
    out = dot(thin, mix, product)
    if isinstance(out, Dense):
        out = product.dense(thin, dense(mix))
    return jnp.moveaxis(out, -1, channel)


def _quantized(x: jax.Array, node: Quantized, params: dict[str, Any]) -> Any:
    out_axis = params["dimension_numbers"].rhs_spec[0]
    reason = refusal(x, node, math.prod(d for a, d in enumerate(node.shape) if a != out_axis))
    if any(s != 1 for a, s in enumerate(node.scale.shape) if a != out_axis):
        reason = "scales change along the summed axes, so integer sums cannot be scaled afterwards"
    elif params["batch_group_count"] != 1:
        reason = "integer convolutions with batch groups are not written"
    elif node.zero_point is not None:
        reason = "padding does not commute with a zero point; use a symmetric grid for integer convolutions"
    if reason:
        return Dense(reason)
    out = _integer_conv(tuple((key, params[key]) for key in _WINDOW))(x, node)
    return out.astype(params["preferred_element_type"] or jnp.result_type(x.dtype, node.dtype))


@functools.lru_cache(maxsize=1024)
def _integer_conv(window: tuple[tuple[str, Any], ...]) -> Any:
    """One jitted function a window: layers of one shape share its trace."""
    params = dict(window)
    numbers = params["dimension_numbers"]
    out_axis, (out_batch, out_channel) = numbers.rhs_spec[0], numbers.out_spec[:2]

    def along(v: jax.Array, axis: int, ndim: int) -> jax.Array:
        return v.reshape(tuple(-1 if a == axis else 1 for a in range(ndim)))

    def integer(x: jax.Array, node: Quantized) -> jax.Array:
        # One scale an image: a NaN in one pixel makes the whole image's result NaN.
        others = tuple(a for a in range(x.ndim) if a != numbers.lhs_spec[0])
        codes, x_scale = quantize_activations(x, others, node)
        stored, _ = signed_codes(node)
        order = storage_order(stored.ndim, node.order)
        weights = jnp.transpose(stored, tuple(order.index(a) for a in range(stored.ndim))) if node.order else stored
        total = convolve(codes, weights, {**params, "precision": None}, jnp.int32).astype(jnp.float32)
        width = tuple(d if a == out_axis else 1 for a, d in enumerate(node.shape))
        scale = expand_blocks(node.scale.astype(jnp.float32), width)
        return total * (along(x_scale, out_batch, x.ndim) * along(scale, out_channel, x.ndim))

    def floating(x: jax.Array, node: Quantized) -> jax.Array:
        return convolve(x, node.materialize(), params, None)

    return jax.jit(straight_through_product(integer, floating))
