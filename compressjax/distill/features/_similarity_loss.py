"""Similarity-preserving distillation: which examples activate a layer alike."""

import jax
import jax.numpy as jnp

from compressjax.distill._pairs import examples, pairs_of, unit, weighted_mean


def similarity_loss(student: jax.Array, teacher: jax.Array, *, weights: jax.Array | None = None) -> jax.Array:
    """Returns the similarity-preserving loss (SP): the mean square between normalized matrices of similarities.

    .. math:: L = \\frac{1}{b^2} \\|G^s - G^t\\|_F^2, \\quad G_{i:} = \\frac{(X X^\\top)_{i:}}{\\|(X X^\\top)_{i:}\\|}

    Numbers of features may differ.

    Args:
        student: `X`, `[batch, ...]`, any floating-point dtype.
        teacher: `[batch, ...]`; no gradient flows to it.
        weights: At least 0, broadcast to `[batch]`; a pair has the product of two. None weighs all alike.

    Returns:
        Scalar, float32: a weighted mean over pairs.

    Raises:
        ValueError: If the batches differ.

    Example:
        >>> x = jnp.array([[1.0, 0.0], [0.0, 2.0]])
        >>> similarity_loss(x, 3 * x).item()
        0.0

    Source: Tung and Mori, arXiv:1907.09682 (tung2019).
    """
    x, y, weights = examples("similarity_loss", student, teacher, weights)
    a, b = (_similarities(z) for z in (x, y))
    return weighted_mean((a - b) ** 2, pairs_of(weights, same=True))


def _similarities(x: jax.Array) -> jax.Array:
    # The matrix does not depend on the scale of all features together, and products stay finite.
    largest = jax.lax.stop_gradient(jnp.max(jnp.abs(x)))
    x = x / jnp.where(largest > 0, largest, 1.0)
    return unit(jnp.matmul(x, x.T, precision=jax.lax.Precision.HIGHEST))
