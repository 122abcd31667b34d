"""Roots of inverses with as much damping as the factorization needs."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from compressjax.numerics._numerics import wide

# The damping that a failed factorization without any starts from, the factor of each step, and where the steps end.
LEAST, FACTOR, MOST = 1e-3, 10.0, 1.0


class DampedRoot(NamedTuple):
    """A triangular root of an inverse, and the damping that it took.

    Attributes:
        root: `[n, n]`, upper triangular `U` with `U^T U = H^-1`; the identity where every step failed.
        damping: The multiple of the mean diagonal that was added, scalar.
        failed: Whether no step gave a factorization, bool scalar.
    """

    root: jax.Array
    damping: jax.Array
    failed: jax.Array


def damped_root(hessian: jax.Array, damping: float) -> DampedRoot:
    """Computes an upper triangular root of the inverse of a damped symmetric matrix, in steps until one exists.

    .. math:: U^\\top U = (H + \\lambda \\, \\overline{h} I)^{-1}, \\quad \\lambda = \\lambda_0, 10\\lambda_0, ...

    Damping grows by factors of 10, up to 1 or `damping`. A zero on the diagonal (an input that is always zero) counts
    as the mean of the diagonal, so that this input is unrelated to all others.

    Source: the Cholesky form of Frantar et al., arXiv:2210.17323 (frantar2022); the steps are ours.
    """
    x = wide(hessian)
    diagonal = jnp.diagonal(x)
    mean = jnp.mean(diagonal)
    # Divide by the mean diagonal to avoid overflow and underflow.
    level = jnp.where(mean > 0, mean, 1.0)
    unseen = jnp.where(diagonal == 0, 1.0, 0.0).astype(x.dtype)

    def factor(extra: jax.Array) -> jax.Array:
        # Reversed rows and columns make the factor upper triangular, so that the inverse itself is never formed.
        return jnp.linalg.cholesky((x / level + jnp.diag(unseen + extra))[::-1, ::-1])[::-1, ::-1]

    def bad(found: jax.Array) -> jax.Array:
        return ~jnp.all(jnp.isfinite(found))

    def more(carry: tuple[Any, Any]) -> tuple[Any, Any]:
        extra = jnp.where(carry[0] < 0, first, jnp.maximum(FACTOR * carry[0], LEAST))
        return extra, factor(extra)

    # The first try is a step of the loop too, so that the factorization is compiled once.
    first, none = jnp.asarray(damping, x.dtype), (jnp.asarray(-1.0, x.dtype), jnp.full_like(x, jnp.nan))
    extra, found = jax.lax.while_loop(lambda c: bad(c[1]) & (c[0] < MOST * (1 - 1e-6)), more, none)
    failed, eye = bad(found), jnp.eye(len(x), dtype=x.dtype)
    root = jax.scipy.linalg.solve_triangular(jnp.where(failed, eye, found), eye, lower=False)
    return DampedRoot(jnp.where(failed, eye, root / jnp.sqrt(level)), extra, failed)
