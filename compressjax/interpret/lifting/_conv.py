"""Convolutions with a node as the kernel: groups, strides, dilation, depthwise."""

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from compressjax.core import Node, dense
from compressjax.interpret.jaxpr._weight import Dense
from compressjax.interpret.lifting._dot import as_grid, dot, sum_of_terms
from compressjax.interpret.lifting._integer import refusal
from compressjax.interpret.lifting._integer_conv import WINDOW, convolve, integer_conv
from compressjax.interpret.lifting._product import Product
from compressjax.tensors import LowRank, Quantized, Sum

# Where sums are shorter, rounding the activations costs more than integer products save (two-core CPU, JAX 0.10 and
# 0.12: 3x3 kernels gain from 24 input channels on, depthwise and one-channel ones lose by 2 to 8 times).
FEWEST_TERMS = 200


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
    terms = math.prod(d for a, d in enumerate(node.shape) if a != out_axis)
    reason = refusal(x, node, terms)
    if any(s != 1 for a, s in enumerate(node.scale.shape) if a != out_axis):
        reason = "scales change along the summed axes, so integer sums cannot be scaled afterwards"
    elif params["batch_group_count"] != 1:
        reason = "integer convolutions with batch groups are not written"
    elif node.zero_point is not None:
        reason = "padding does not commute with a zero point; use a symmetric grid for integer convolutions"
    elif any(step != 1 for step in params["lhs_dilation"]):
        reason = "integer convolutions with input dilation are slower than dense ones"
    elif x.ndim not in (3, 4):
        reason = "integer convolutions over other than one or two dimensions are slower than dense ones"
    elif terms < FEWEST_TERMS:
        reason = f"sums of fewer than {FEWEST_TERMS} products are faster in floating point"
    if reason:
        return Dense(reason)
    out = integer_conv(tuple((key, params[key]) for key in WINDOW))(x, node)
    return out.astype(params["preferred_element_type"] or jnp.result_type(x.dtype, node.dtype))
