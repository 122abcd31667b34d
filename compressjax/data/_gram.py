"""Products of a matrix with itself, with half of the multiplications."""

import jax
import jax.numpy as jnp

_HIGH = jax.lax.Precision.HIGHEST
# From this many columns on, a product of four quarters of which one is not computed is the faster one.
_WIDE = 192


def gram(x: jax.Array) -> jax.Array:
    """`x.T @ x` for `x [n, d]`; XLA has no symmetric product, so blocks below the diagonal are copied."""
    features = x.shape[1]
    if features < _WIDE:
        return jnp.matmul(x.T, x, precision=_HIGH)
    half = features // 2
    left, right = x[:, :half], x[:, half:]
    cross = jnp.matmul(left.T, right, precision=_HIGH)
    return jnp.block([[gram(left), cross], [cross.T, gram(right)]])
