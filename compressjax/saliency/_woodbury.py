"""Inverses of damped sums of outer products, without computing the sum."""

import jax
import jax.numpy as jnp


def woodbury_inverse(rows: jax.Array, damping: float) -> jax.Array:
    """Inverts the damped empirical Fisher matrix of gradients `[N, n]`, one gradient at a time.

    .. math:: \\Big(\\lambda I + \\frac{1}{N} \\sum_n g_n g_n^\\top\\Big)^{-1}: \\quad
        A \\leftarrow A - \\frac{A g_n g_n^\\top A}{N + g_n^\\top A g_n}, \\qquad A_0 = \\lambda^{-1} I

    Source: Singh and Alistarh, arXiv:2004.14340 (singh2020); Hassibi and Stork, 1993 (hassibi1993).
    """
    if damping <= 0:
        raise ValueError(f"damping={damping} must be positive, so that the inverse exists; the paper uses 1e-5")
    count, size = rows.shape

    def add(inverse: jax.Array, g: jax.Array) -> tuple[jax.Array, None]:
        turned = jnp.matmul(inverse, g, precision=jax.lax.Precision.HIGHEST)
        return inverse - jnp.outer(turned, turned) / (count + jnp.sum(g * turned)), None

    return jax.lax.scan(add, jnp.eye(size, dtype=rows.dtype) / damping, rows)[0]


def constrained_step(weights: jax.Array, inverse: jax.Array, removed: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Returns the best change that sets the removed weights to exactly zero, and the predicted rise of the loss.

    .. math:: \\min_\\delta \\tfrac12 \\delta^\\top H \\delta \\;\\text{ s.t. }\\; \\delta_Q = -w_Q: \\qquad
        \\delta = -H^{-1}_{:Q} (H^{-1}_{QQ})^{-1} w_Q, \\quad
        \\Delta L = \\tfrac12 w_Q^\\top (H^{-1}_{QQ})^{-1} w_Q

    Source: Hassibi and Stork, 1993 (hassibi1993).
    """
    highest = jax.lax.Precision.HIGHEST
    gone = removed.astype(weights.dtype)
    # The identity outside of Q keeps the system regular for any number of removed weights.
    system = inverse * gone[:, None] * gone[None, :] + jnp.diag(1 - gone)
    forces = jnp.linalg.solve(system, weights * gone)
    change = -jnp.matmul(inverse, forces * gone, precision=highest)
    return jnp.where(removed, -weights, change), jnp.sum(weights * gone * forces) / 2
