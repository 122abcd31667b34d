"""The `dot_general` rule for a node as either operand."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp

from compressjax.core import Dense, Product, ops


def apply_dot(params: dict[str, Any], inputs: Sequence[Any], operand: int) -> Any:
    """Multiplies with the node on the right, and restores the order of axes if it was operand 0."""
    (l_sum, r_sum), (l_batch, r_batch) = params["dimension_numbers"]
    x, node = inputs[1 - operand], inputs[operand]
    of_x, of_node = ((l_sum, l_batch), (r_sum, r_batch)) if operand else ((r_sum, r_batch), (l_sum, l_batch))
    product = Product(
        tuple(of_x[0]), tuple(of_x[1]), tuple(of_node[0]), tuple(of_node[1]), params["precision"],
        params["preferred_element_type"],
    )  # fmt: skip
    out = ops.multiply(x, node, product)
    if isinstance(out, Dense) or operand:
        return out
    b, k = len(l_batch), len(product.x_free(x.ndim))
    return jnp.transpose(out, (*range(b), *range(b + k, out.ndim), *range(b, b + k)))
