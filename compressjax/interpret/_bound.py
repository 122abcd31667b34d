"""The stated bound between an integer product and the product of the materialised tensors."""

from typing import Any

import jax
import jax.numpy as jnp

from compressjax.core import dense


def integer_bound(x: jax.Array, node: Any) -> jax.Array:
    """Largest error of `x @ node` that rounding the activations to int8 can cause, entry by entry.

    .. math:: |x W - \\hat x W| \\le \\frac{s_x}{2} \\sum_i |W_i| + \\epsilon, \\quad s_x = \\max |x| / 127

    Args:
        x: `[..., in]`, activations of a product with dynamic scales.
        node: `[in, out]`, array or node.

    Returns:
        `[..., out]`, float32; a thousandth is added for the float32 scaling of the sums.

    Example:
        >>> integer_bound(jnp.full((1, 2), 127.0), jnp.ones((2, 1))).shape
        (1, 1)
    """
    weight = jnp.abs(dense(node).astype(jnp.float32))
    largest = jnp.max(jnp.abs(x.astype(jnp.float32)), axis=-1, keepdims=True)
    rounding = largest / 254 * jnp.sum(weight, axis=0)
    return rounding * 1.001 + 1e-5 * (jnp.abs(x.astype(jnp.float32)) @ weight) + 1e-6
