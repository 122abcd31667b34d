"""Distillation of classes that do not exclude each other."""

from typing import Any

import jax
import jax.numpy as jnp

from compressjax.distill._pairs import divergence, expected, fraction, kept, pair, temperature_of, weighted_mean


def multilabel_loss(
    student_logits: jax.Array,
    teacher_logits: jax.Array,
    labels: jax.Array | None = None,
    *,
    temperature: Any = 1.0,
    alpha: Any = 0.5,
    weights: jax.Array | None = None,
) -> jax.Array:
    """Returns the divergence from a teacher class by class, mixed with the binary cross-entropy.

    .. math:: L = \\alpha T^2 \\sum_c KL(b(v_c / T) \\,\\|\\, b(z_c / T)) + (1 - \\alpha) \\sum_c CE(y_c, b(z_c)),
        \\quad b(x) = (\\sigma(x), 1 - \\sigma(x))

    Args:
        student_logits: `z`, `[..., classes]`, any floating-point dtype.
        teacher_logits: `v`, of the same shape; no gradient flows to them.
        labels: `[..., classes]`, probabilities or 0 and 1; None returns only the soft part, unweighted.
        temperature: `T`, above 0.
        alpha: Weight of the soft part, in [0, 1].
        weights: At least 0, broadcast to `[...]`; None weighs all alike.

    Returns:
        Scalar, float32: the sum over the classes, as a weighted mean over the other axes.

    Raises:
        ValueError: If shapes do not match, or a setting is out of range.

    Example:
        >>> round(multilabel_loss(jnp.zeros((1, 2)), jnp.zeros((1, 2)), jnp.ones((1, 2)), alpha=0.0).item(), 4)
        1.3863

    Source: Yang et al., arXiv:2308.06453 (yang2023).
    """
    who = "multilabel_loss"
    alpha, temperature = fraction(who, "alpha", alpha, "1 ignores the labels"), temperature_of(who, temperature)
    student, teacher, weights = pair(who, student_logits, teacher_logits, weights)
    soft = jnp.sum(divergence(_binary(teacher / temperature), _binary(student / temperature)), axis=-1)
    soft = temperature**2 * weighted_mean(soft, weights)
    if labels is None:
        return soft
    if jnp.shape(labels) != student.shape:
        raise ValueError(f"{who}: labels {jnp.shape(labels)} must be {student.shape}: one number a class")
    y = kept(labels, weights)
    hard = -jnp.sum(expected(jnp.stack([y, 1.0 - y], axis=-1), _binary(student)), axis=-1)
    return alpha * soft + (1.0 - alpha) * weighted_mean(hard, weights)


def _binary(logits: jax.Array) -> jax.Array:
    """Logarithms of the probabilities of yes and no, `[..., 2]`."""
    return jnp.stack([jax.nn.log_sigmoid(logits), jax.nn.log_sigmoid(-logits)], axis=-1)
