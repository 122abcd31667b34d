"""Inverses of damped sums of outer products, without computing the sum."""

import jax
import jax.numpy as jnp


def woodbury_inverse(rows: jax.Array, damping: float) -> jax.Array:
    """Inverts the damped empirical Fisher matrix, one gradient at a time.

    .. math:: \\Big(\\lambda I + \\frac{1}{N} \\sum_n g_n g_n^\\top\\Big)^{-1}: \\quad
        A \\leftarrow A - \\frac{A g_n g_n^\\top A}{N + g_n^\\top A g_n}, \\qquad A_0 = \\lambda^{-1} I

    Args:
        rows: `[N, n]` gradients.
        damping: Positive `lambda`; for enough digits in float32, at least 1e-6 times the largest eigenvalue.

    Returns:
        `[n, n]`, symmetric.

    Raises:
        ValueError: If the damping is not positive.

    Example:
        >>> woodbury_inverse(jnp.array([[1.0, 0.0]]), 1.0).tolist()
        [[0.5, 0.0], [0.0, 1.0]]

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
    """Returns the best change of all weights that sets some of them to zero, for a quadratic loss.

    .. math:: \\min_\\delta \\tfrac12 \\delta^\\top H \\delta \\;\\text{ s.t. }\\; \\delta_Q = -w_Q: \\qquad
        \\delta = -H^{-1}_{:Q} (H^{-1}_{QQ})^{-1} w_Q, \\quad
        \\Delta L = \\tfrac12 w_Q^\\top (H^{-1}_{QQ})^{-1} w_Q

    Args:
        weights: `[n]`.
        inverse: `[n, n]`, inverse of the Hessian.
        removed: `[n]` bool, True for weights to set to zero; may be traced.

    Returns:
        The change `[n]`, exactly `-w` for removed weights, and the predicted rise of the loss.

    Example:
        >>> change, rise = constrained_step(jnp.ones(2), jnp.eye(2) + 1, jnp.array([True, False]))
        >>> change.tolist(), rise.item()
        ([-1.0, -0.5], 0.25)

    Source: Hassibi and Stork, 1993 (hassibi1993).
    """
    highest = jax.lax.Precision.HIGHEST
    gone = removed.astype(weights.dtype)
    # The identity outside of Q keeps the system regular for any number of removed weights.
    system = inverse * gone[:, None] * gone[None, :] + jnp.diag(1 - gone)
    forces = jnp.linalg.solve(system, weights * gone)
    change = -jnp.matmul(inverse, forces * gone, precision=highest)
    return jnp.where(removed, -weights, change), jnp.sum(weights * gone * forces) / 2
