"""Matrix products with a node, in every orientation and batch arrangement."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from compressjax.core import Node, dense
from compressjax.interpret.jaxpr._weight import Dense
from compressjax.interpret.lifting._integer_dot import integer_dot
from compressjax.interpret.lifting._product import Product
from compressjax.tensors import Codebook, LowRank, Masked, Quantized, Sum, storage_order


def dot(x: jax.Array, node: Any, product: Product) -> Any:
    """Product of an array with an array or node.

    Args:
        x: Dense left operand.
        node: Array or node, the right operand.
        product: Axes.

    Returns:
        Array with axes (batch, x's free, node's free); `Dense` when materializing is no worse.

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
        return sum_of_terms(node, lambda term: dot(x, term, product), lambda w: product.dense(x, w))
    grid = as_grid(node)
    return grid if isinstance(grid, Dense) else integer_dot(x, grid, product)


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
    return p.dense(x, dense(node)) if isinstance(out, Dense) else out


def sum_of_terms(node: Sum, native: Callable[[Any], Any], densely: Callable[[jax.Array], jax.Array]) -> Any:
    """A linear function of a sum: native on the terms that have a faster form, once on the sum of all others.

    Args:
        node: The sum.
        native: `node -> array or Dense`.
        densely: The same function of a dense array.

    Returns:
        Array; `Dense` when no term has a faster form.

    Example:
        >>> sum_of_terms(Sum((jnp.ones(2), jnp.ones(2))), lambda n: Dense(""), lambda w: w).reason
        'none of its terms has a faster form'
    """
    parts, rest = [], []
    for term in node.terms:
        part = native(term) if isinstance(term, Node) else Dense("an array")
        if isinstance(part, Dense):
            rest.append(dense(term))
        else:
            parts.append(part)
    if not parts:
        return Dense("none of its terms has a faster form")
    if rest:
        parts.append(densely(sum(rest[1:], rest[0])))
    return sum(parts[1:], parts[0])


def apply_dot(params: dict[str, Any], inputs: Sequence[Any], operand: int) -> Any:
    """The `dot_general` rule: brings the node to the right, multiplies, and restores the order of axes.

    Args:
        params: Parameters of the equation.
        inputs: Its two operands, one of which is an array or node to multiply with.
        operand: Which of them is the node.

    Returns:
        Array, or `Dense`.

    Example:
        >>> numbers = {"dimension_numbers": (((1,), (1,)), ((), ())), "precision": None, "preferred_element_type": None}
        >>> apply_dot(numbers, [LowRank(jnp.ones((4, 1)), jnp.ones((1, 3))), jnp.ones((2, 3))], 0).shape
        (4, 2)
    """
    (l_sum, r_sum), (l_batch, r_batch) = params["dimension_numbers"]
    x, node = inputs[1 - operand], inputs[operand]
    of_x, of_node = ((l_sum, l_batch), (r_sum, r_batch)) if operand else ((r_sum, r_batch), (l_sum, l_batch))
    product = Product(
        tuple(of_x[0]), tuple(of_x[1]), tuple(of_node[0]), tuple(of_node[1]), params["precision"],
        params["preferred_element_type"],
    )  # fmt: skip
    out = dot(x, node, product)
    if isinstance(out, Dense) or operand:
        return out
    b, k = len(l_batch), len(product.x_free(x.ndim))
    return jnp.transpose(out, (*range(b), *range(b + k, out.ndim), *range(b, b + k)))
