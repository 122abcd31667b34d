"""Relational distillation: distances and angles between examples."""

from typing import Any

import jax
import jax.numpy as jnp

from compressjax.distill._pairs import examples, huber, pairs_of, positive, unit, weighted_mean
from compressjax.numerics._numerics import root


def rkd_distance_loss(
    student: jax.Array, teacher: jax.Array, *, delta: Any = 1.0, weights: jax.Array | None = None
) -> jax.Array:
    """Returns the distance-wise loss of relational distillation (RKD).

    .. math:: L = mean_{i \\ne j}\\, h_\\delta(\\psi^s_{ij} - \\psi^t_{ij}), \\quad
        \\psi_{ij} = \\|x_i - x_j\\| / mean_{k \\ne l} \\|x_k - x_l\\|

    It does not change when features are rotated, shifted or scaled, so numbers of features may differ.

    Args:
        student: `[batch, ...]`, two examples or more, any floating-point dtype.
        teacher: `[batch, ...]`; no gradient flows to it.
        delta: Where Huber's `h` becomes linear, above 0.
        weights: At least 0, broadcast to `[batch]`; a pair has the product of two. None weighs all alike.

    Returns:
        Scalar, float32: a weighted mean over pairs of different examples.

    Raises:
        ValueError: If the batches differ, or `delta` is not positive.

    Example:
        >>> x = jnp.array([[0.0, 0.0], [3.0, 4.0], [6.0, 0.0]])
        >>> round(rkd_distance_loss(x, 2 * x + 1).item(), 6)
        0.0

    Source: Park et al., arXiv:1904.05068 (park2019).
    """
    delta = positive("rkd_distance_loss", "delta", delta, "1 is the paper's")
    x, y, weights = examples("rkd_distance_loss", student, teacher, weights, least=2)
    both = pairs_of(weights)
    a, b = (_relative(z, both) for z in (x, y))
    return weighted_mean(huber(a - b, delta), both)


def rkd_angle_loss(
    student: jax.Array, teacher: jax.Array, *, delta: Any = 1.0, weights: jax.Array | None = None
) -> jax.Array:
    """Returns the angle-wise loss of relational distillation (RKD).

    .. math:: L = mean_{i, j, k}\\, h_\\delta(\\psi^s_{ijk} - \\psi^t_{ijk}), \\quad
        \\psi_{ijk} = \\cos \\angle\\, x_i x_j x_k

    over triples of different examples. It needs memory for the cube of the batch.

    Args:
        student: `[batch, ...]`, three examples or more, any floating-point dtype.
        teacher: `[batch, ...]`; no gradient flows to it.
        delta: Where Huber's `h` becomes linear, above 0.
        weights: At least 0, broadcast to `[batch]`; a triple has the product of three. None weighs all alike.

    Returns:
        Scalar, float32: a weighted mean over triples.

    Raises:
        ValueError: If the batches differ, or `delta` is not positive.

    Example:
        >>> x = jnp.array([[0.0, 0.0], [3.0, 4.0], [6.0, 0.0]])
        >>> round(rkd_angle_loss(x, 2 * x + 1).item(), 6)
        0.0

    Source: Park et al., arXiv:1904.05068 (park2019).
    """
    delta = positive("rkd_angle_loss", "delta", delta, "1 is the paper's")
    x, y, weights = examples("rkd_angle_loss", student, teacher, weights, least=3)
    both = pairs_of(weights)
    # Example j is the corner; i and k are two others, and not the same one.
    triples = weights[:, None, None] * pairs_of(jnp.ones_like(weights))[:, :, None] * both[None]
    triples = triples * pairs_of(jnp.ones_like(weights))[:, None, :]
    a, b = (_cosines(z) for z in (x, y))
    return weighted_mean(huber(a - b, delta), triples)


def _scaled(x: jax.Array) -> jax.Array:
    """Features over their largest magnitude; relations do not depend on it, and squares stay finite."""
    largest = jax.lax.stop_gradient(jnp.max(jnp.abs(x)))
    return x / jnp.where(largest > 0, largest, 1.0)


def _relative(x: jax.Array, weights: jax.Array) -> jax.Array:
    x = _scaled(x)
    distances = root(jnp.sum((x[:, None] - x[None]) ** 2, axis=-1))
    mean = weighted_mean(distances, weights)
    return jnp.where(mean > 0, distances / jnp.where(mean > 0, mean, 1.0), 0.0)


def _cosines(x: jax.Array) -> jax.Array:
    """Cosines of the angles `[corner, one, other]`."""
    rays = unit(x[None] - x[:, None])
    return jnp.einsum("jid,jkd->jik", rays, rays, precision=jax.lax.Precision.HIGHEST)
