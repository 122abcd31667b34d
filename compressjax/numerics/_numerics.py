"""Numerical helpers shared by methods."""

from typing import Any

import jax
import jax.numpy as jnp

from compressjax.numerics._explicit import explicit


def wide(x: jax.Array) -> jax.Array:
    """The array, with floats of 16 and 8 bits (and integers) as float32.

    Floats of 8 bits do not promote, so arithmetic with float32 needs this step.
    """
    if jnp.issubdtype(x.dtype, jnp.floating):
        return x.astype(jnp.float32) if jnp.finfo(x.dtype).bits < 32 else x
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))


def root(x: jax.Array) -> jax.Array:
    """Square root, with 0 and gradient 0 at 0 and below."""
    return jnp.where(x > 0, jnp.sqrt(jnp.where(x > 0, x, 1.0)), 0.0)


def straight_through(x: jax.Array, y: jax.Array) -> jax.Array:
    """Returns `y` exactly, with the gradient of `x`: the straight-through estimator (arXiv:1308.3432).

    .. math:: f(x, y) = y, \\quad \\partial f / \\partial x = 1, \\quad \\partial f / \\partial y = 0

    On explicit mesh axes, the result is sharded as `x`.
    """
    sharding = explicit(jax.typeof(x))
    return _straight_through(x, y if sharding is None else jax.sharding.reshard(y, sharding))


@jax.custom_jvp
def _straight_through(x: jax.Array, y: jax.Array) -> jax.Array:
    del x
    return y


@_straight_through.defjvp
def _straight_through_jvp(primals: tuple[Any, Any], tangents: tuple[Any, Any]) -> tuple[jax.Array, jax.Array]:
    x, y = primals
    return _straight_through(x, y), tangents[0].astype(y.dtype)
