"""Error bound of integer products."""

from typing import Any

import jax
import jax.numpy as jnp

from compressjax.core import Node, dense


def integer_bound(x: jax.Array, node: Any) -> jax.Array:
    """Bounds the error of `x @ node` from rounding the activations, entry by entry.

    .. math:: |x W - \\hat x W| \\le \\sum_i e_i |W_i| + \\epsilon, \\quad e_i = s_x / 2

    with `s_x = max|x| / 127` for dynamic activations. For static activations, `s_x` is the node's scale, and the part
    of `|x_i|` above `127 s_x` adds to `e_i`. Nodes that round to fewer bits say so themselves.

    Args:
        x: `[..., in]`, finite activations.
        node: `[in, out]`, array or node.

    Returns:
        `[..., out]`, float32, with a margin of 0.1 percent and the rounding error of the result's dtype.

    Example:
        >>> integer_bound(jnp.full((1, 2), 127.0), jnp.ones((2, 1))).tolist()[0][0] > 1.0
        True
    """
    x, weight = jnp.asarray(x), dense(node)
    epsilon = max(1e-5, 2 * float(jnp.finfo(jnp.result_type(x, weight)).eps))
    weight, size = jnp.abs(weight.astype(jnp.float32)), jnp.abs(x.astype(jnp.float32))
    largest = jnp.max(size, axis=-1, keepdims=True, initial=0.0)
    errors = node.input_errors(x.astype(jnp.float32), largest) if isinstance(node, Node) else None
    if errors is None:
        errors = jnp.broadcast_to(largest / 254, size.shape)
    return 1.001 * (errors @ weight) + epsilon * (size @ weight) + 1e-6
