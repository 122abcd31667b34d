"""Probabilistic knowledge transfer: for every example, the distribution of its neighbors."""

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.distill._pairs import examples, expected, pairs_of, unit, weighted_mean

_EPSILON = np.float32(1e-7)  # of opposite examples, whose similarity is 0


def pkt_loss(student: jax.Array, teacher: jax.Array, *, weights: jax.Array | None = None) -> jax.Array:
    """Returns the loss of probabilistic knowledge transfer (PKT).

    .. math:: L = \\frac{1}{b} \\sum_i \\sum_{j \\ne i} p_{ij} \\log \\frac{p_{ij}}{q_{ij}}, \\quad
        p_{ij} = \\frac{1 + \\cos(x_i, x_j)}{\\sum_{k \\ne i} (1 + \\cos(x_i, x_k))}

    `p` is of the teacher, `q` of the student. Numbers of features may differ.

    Args:
        student: `[batch, ...]`, two examples or more, any floating-point dtype.
        teacher: `[batch, ...]`; no gradient flows to it.
        weights: At least 0, broadcast to `[batch]`; neighbors count by them too. None weighs all alike.

    Returns:
        Scalar, float32: a weighted mean over examples.

    Raises:
        ValueError: If the batches differ.

    Example:
        >>> x = jnp.array([[1.0, 0.0], [0.0, 2.0], [1.0, 1.0]])
        >>> abs(pkt_loss(x, 3 * x).item()) < 1e-6
        True

    Source: Passalis and Tefas, arXiv:1803.10837 (passalis2018).
    """
    x, y, weights = examples("pkt_loss", student, teacher, weights, least=2)
    neighbors = jnp.broadcast_to(weights, (weights.shape[0],) * 2) * pairs_of(jnp.ones_like(weights))
    q, p = (_neighbors(z, neighbors) for z in (x, y))
    return weighted_mean(expected(p, jnp.log(p + _EPSILON) - jnp.log(q + _EPSILON)), weights)


def _neighbors(x: jax.Array, weights: jax.Array) -> jax.Array:
    x = unit(x)
    cosines = jnp.matmul(x, x.T, precision=jax.lax.Precision.HIGHEST)
    found = weights * (0.5 * (cosines + 1.0) + _EPSILON)
    total = jnp.sum(found, axis=-1, keepdims=True)
    return found / jnp.where(total > 0, total, 1.0)
