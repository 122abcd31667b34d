"""Matrix products with a node, in every orientation and batch arrangement."""

import dataclasses
import functools
import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from compressjax.core import Node
from compressjax.interpret._integer import quantize_activations, signed_codes, straight_through_product
from compressjax.interpret._weight import Dense
from compressjax.tensors import Codebook, LowRank, Masked, Quantized, Sum, expand_blocks, storage_order


@dataclasses.dataclass(frozen=True)
class Product:
    """Which axes of `x` and of the node a product sums over and shares; result axes are batch, x's, the node's.

    Attributes:
        x_sum: Axes of x that are summed over.
        x_batch: Batch axes of x.
        sum: Axes of the node that are summed over, in the same order.
        batch: Batch axes of the node.
        precision: As for `jax.lax.dot_general`.
        dtype: Result dtype, or None.

    Example:
        >>> Product((1,), (), (0,), (), None, None).numbers
        (((1,), (0,)), ((), ()))
    """

    x_sum: tuple[int, ...]
    x_batch: tuple[int, ...]
    sum: tuple[int, ...]
    batch: tuple[int, ...]
    precision: Any
    dtype: Any

    @property
    def numbers(self) -> Any:
        """Dimension numbers for `dot_general`."""
        return (self.x_sum, self.sum), (self.x_batch, self.batch)

    def free(self, ndim: int) -> tuple[int, ...]:
        """Axes of a node of `ndim` axes that appear in the result."""
        return tuple(a for a in range(ndim) if a not in self.sum and a not in self.batch)

    def x_free(self, ndim: int) -> tuple[int, ...]:
        """Axes of an x of `ndim` axes that appear in the result without being batch."""
        return tuple(a for a in range(ndim) if a not in self.x_sum and a not in self.x_batch)

    def dense(self, x: jax.Array, w: jax.Array) -> jax.Array:
        """The product on dense operands."""
        return jax.lax.dot_general(x, w, self.numbers, self.precision, self.dtype)


def dot(x: jax.Array, node: Any, product: Product) -> Any:
    """Product of an array with an array or node.

    Args:
        x: Dense left operand.
        node: Array or node, the right operand.
        product: Axes.

    Returns:
        Array with axes (batch, x's free, node's free); `Dense` when materialising is no worse.

    Example:
        >>> node = LowRank(jnp.ones((4, 1)), jnp.ones((1, 3)))
        >>> dot(jnp.ones((2, 4)), node, Product((1,), (), (0,), (), None, None)).shape
        (2, 3)
    """
    if not isinstance(node, Node):
        return product.dense(x, jnp.asarray(node))
    if isinstance(node, LowRank):
        return _low_rank(x, node, product)
    if isinstance(node, Sum):
        return _sum(x, node, product)
    grid = as_grid(node)
    return grid if isinstance(grid, Dense) else _quantized(x, grid, product)


def as_grid(node: Any) -> Quantized | Dense:
    """An entry-wise node as an integer grid that integer products can run on.

    Args:
        node: Any node.

    Returns:
        `Quantized` with integer activations; `Dense` with the reason when the node is no such grid.

    Example:
        >>> as_grid(Masked(jnp.ones(2), jnp.array([True, False]))).reason
        'a mask saves bytes; this machine has no faster product for it'
    """
    if isinstance(node, Quantized):
        return node if node.activation else Dense("weight-only codes save bytes; the product runs in floating point")
    if isinstance(node, Codebook):
        table = as_grid(node.centroids) if isinstance(node.centroids, Node) else None
        if not isinstance(table, Quantized) or node.batch or table.scale.size != 1:
            return Dense("a table of floats saves bytes; the product runs in floating point")
        ones = (1,) * len(node.codes.shape)
        zero = None if table.zero_point is None else table.zero_point.reshape(ones)
        return dataclasses.replace(
            table, codes=node.lookup(table.dense_codes()), scale=table.scale.reshape(ones), zero_point=zero, order=()
        )
    if isinstance(node, Masked):
        inner = as_grid(node.value) if isinstance(node.value, Node) else None
        if isinstance(inner, Quantized) and inner.zero_point is None:
            mask = jnp.transpose(node.mask, storage_order(len(node.shape), inner.order))
            return dataclasses.replace(inner, codes=jnp.where(mask, inner.codes, 0))
        return Dense("a mask saves bytes; this machine has no faster product for it")
    return Dense("no integer form")


def _low_rank(x: jax.Array, node: LowRank, p: Product) -> Any:
    lead = tuple(range(node.batch))
    ins = tuple(range(node.batch, node.batch + node.inputs))
    outs = tuple(range(node.batch + node.inputs, len(node.shape)))
    if tuple(sorted(p.batch)) != lead:
        return Dense("the product does not run over the factors' stack axes")
    rank_first, rank_last = node.batch, node.batch + node.inputs
    shift = node.inputs - 1
    if set(p.sum) == set(ins):
        first = p
        factors, back, back_rank = (node.left, node.right), p.batch, rank_first
    elif set(p.sum) == set(outs):
        first = dataclasses.replace(p, sum=tuple(a - shift for a in p.sum))
        factors, back, back_rank = (node.right, node.left), p.batch, rank_last
    else:
        return Dense("the product sums over some, not all, axes of a factor")
    inner = _or_dense(x, factors[0], first)
    batch = tuple(range(len(p.x_batch)))
    second = Product((inner.ndim - 1,), batch, (back_rank,), back, p.precision, p.dtype)
    return _or_dense(inner, factors[1], second)


def _or_dense(x: jax.Array, node: Any, p: Product) -> jax.Array:
    out = dot(x, node, p)
    return p.dense(x, node.materialize()) if isinstance(out, Dense) else out


def _sum(x: jax.Array, node: Sum, p: Product) -> Any:
    parts = [dot(x, term, p) for term in node.terms]
    if all(isinstance(part, Dense) for part in parts):
        return Dense("none of its terms has a faster product")
    total = None
    for part, term in zip(parts, node.terms, strict=True):
        if isinstance(part, Dense):
            part = p.dense(x, term.materialize())
        total = part if total is None else total + part
    return total


def _quantized(x: jax.Array, node: Quantized, p: Product) -> Any:
    if any(node.scale.shape[a] != 1 for a in p.sum):
        return Dense("scales change along the summed axis, so integer sums cannot be scaled afterwards")
    out = _integer_dot(p)(x, node)
    return out.astype(p.dtype or jnp.result_type(x.dtype, node.dtype))


@functools.lru_cache(maxsize=1024)
def _integer_dot(p: Product) -> Any:
    """One jitted function a product: layers of one shape share its trace."""

    def integer(x: jax.Array, node: Quantized) -> jax.Array:
        codes, x_scale = quantize_activations(x, p.x_sum, node)
        if not p.x_batch and math.prod(x.shape[a] for a in p.x_free(x.ndim)) == 1:
            return _paired_row(codes, x_scale, node, p)
        return _scaled(_integer_product(codes, node, p), codes, x_scale, node, p)

    def floating(x: jax.Array, node: Quantized) -> jax.Array:
        return p.dense(x, node.materialize())

    return jax.jit(straight_through_product(integer, floating))


def _paired_row(codes: jax.Array, x_scale: jax.Array, node: Quantized, p: Product) -> jax.Array:
    """One row alone falls on a slow path in XLA's CPU backend; a second row of zeros avoids it."""
    two = jnp.stack([codes, jnp.zeros_like(codes)])
    later = dataclasses.replace(p, x_sum=tuple(a + 1 for a in p.x_sum))
    return _scaled(_integer_product(two, node, later), two, x_scale[None], node, later)[0]


def _integer_product(codes: jax.Array, node: Quantized, p: Product) -> jax.Array:
    """int32 sums over int8 codes, with the node's free axes in the order of its dense axes."""
    weights, _ = signed_codes(node)
    stored = storage_order(weights.ndim, node.order)
    where = [stored.index(a) for a in range(weights.ndim)]
    numbers = (
        (p.x_sum, tuple(where[a] for a in p.sum)),
        (p.x_batch, tuple(where[a] for a in p.batch)),
    )
    out = jax.lax.dot_general(codes, weights, numbers, preferred_element_type=jnp.int32)
    free = p.free(weights.ndim)
    got = sorted(free, key=lambda a: where[a])
    lead = out.ndim - len(free)
    order = (*range(lead), *(lead + got.index(a) for a in free))
    return out if order == tuple(range(out.ndim)) else jnp.transpose(out, order)


def _scaled(total: jax.Array, codes: jax.Array, x_scale: jax.Array, node: Quantized, p: Product) -> jax.Array:
    """Scales integer sums, with the zero point taken out: s_x s_w (sum q_x q_w - z sum q_x)."""
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
    return total.astype(jnp.float32) * of_x(x_scale) * of_node(node.scale.astype(jnp.float32))


def apply_dot(lhs: Any, rhs: Any, params: dict[str, Any], node_is_lhs: bool) -> Any:
    """The `dot_general` rule: brings the node to the right, multiplies, and restores the order of axes.

    Args:
        lhs: Left operand, array or node.
        rhs: Right operand, array or node.
        params: Parameters of the equation.
        node_is_lhs: Which operand is the node.

    Returns:
        Array, or `Dense`.

    Example:
        >>> numbers = {"dimension_numbers": (((1,), (1,)), ((), ())), "precision": None, "preferred_element_type": None}
        >>> apply_dot(LowRank(jnp.ones((4, 1)), jnp.ones((1, 3))), jnp.ones((2, 3)), numbers, True).shape
        (4, 2)
    """
    (l_sum, r_sum), (l_batch, r_batch) = params["dimension_numbers"]
    x, node = (rhs, lhs) if node_is_lhs else (lhs, rhs)
    sums: Sequence[Any] = (r_sum, r_batch, l_sum, l_batch) if node_is_lhs else (l_sum, l_batch, r_sum, r_batch)
    product = Product(*(tuple(s) for s in sums), params["precision"], params["preferred_element_type"])
    out = dot(x, node, product)
    if isinstance(out, Dense) or not node_is_lhs:
        return out
    b, k = len(l_batch), len(product.x_free(x.ndim))
    return jnp.transpose(out, (*range(b), *range(b + k, out.ndim), *range(b, b + k)))
