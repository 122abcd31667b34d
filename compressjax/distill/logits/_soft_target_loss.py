"""Distillation from softened class probabilities."""

from typing import Any

import jax
import jax.numpy as jnp

from compressjax.distill._pairs import (
    cross_entropy,
    divergence,
    fraction,
    kept,
    log_soft,
    pair,
    temperature_of,
    weighted_mean,
)


def soft_targets(logits: jax.Array, temperature: Any) -> jax.Array:
    """Returns class probabilities at a temperature.

    .. math:: p_i = \\frac{\\exp(z_i / T)}{\\sum_j \\exp(z_j / T)}

    Args:
        logits: `[..., classes]`, any floating-point dtype.
        temperature: `T`, above 0; larger is softer.

    Returns:
        `[..., classes]`, float32, summing to 1.

    Raises:
        ValueError: If the temperature is not positive.

    Example:
        >>> soft_targets(jnp.array([1.0, 1.0]), 4.0).tolist()
        [0.5, 0.5]

    Source: Hinton et al., arXiv:1503.02531 (hinton2015).
    """
    return jnp.exp(log_soft(logits, temperature_of("soft_targets", temperature)))


def soft_target_loss(
    student_logits: jax.Array,
    teacher_logits: jax.Array,
    labels: jax.Array | None = None,
    *,
    temperature: Any = 4.0,
    alpha: Any = 0.5,
    weights: jax.Array | None = None,
) -> jax.Array:
    """Returns the divergence from the softened probabilities of a teacher, mixed with the loss on the labels.

    .. math:: L = \\alpha T^2\\, KL(p^{teacher}_T \\,\\|\\, p^{student}_T) + (1 - \\alpha)\\, CE(y, p^{student}_1)

    The factor `T^2` keeps the scale of the gradient as the temperature changes: at high temperature the soft part
    approaches `mean((v - z) ** 2) / 2` over the classes, for logits of zero mean.

    Args:
        student_logits: `z`, `[..., classes]`, any floating-point dtype; computed in float32. Classes that a mask sets
            to `-inf` add 0 where the teacher or the labels exclude them too, and make the loss infinite elsewhere.
        teacher_logits: `v`, of the same shape; no gradient flows to them.
        labels: `[...]` integers or `[..., classes]` probabilities; None returns only the soft part, unweighted.
        temperature: `T`, above 0; may be traced, as the value of a schedule is.
        alpha: Weight of the soft part, in [0, 1]; may be traced.
        weights: At least 0, broadcast to `[...]`; a mask is weights of 0 and 1. None weighs all alike.

    Returns:
        Scalar, float32: the weighted mean over all but the last axis; 0 if all weights are.

    Raises:
        ValueError: If shapes do not match, or `temperature` or `alpha` is out of range.

    Example:
        >>> logits = jnp.array([[2.0, 0.0]])
        >>> soft_target_loss(logits, logits).item()
        0.0

    Source: Hinton et al., arXiv:1503.02531 (hinton2015).
    """
    who = "soft_target_loss"
    alpha, temperature = fraction(who, "alpha", alpha, "1 ignores the labels"), temperature_of(who, temperature)
    student, teacher, weights = pair(who, student_logits, teacher_logits, weights)
    soft = divergence(log_soft(teacher, temperature), log_soft(student, temperature))
    soft = temperature**2 * weighted_mean(soft, weights)
    if labels is None:
        return soft
    if jnp.shape(labels) == student.shape:
        labels = kept(labels, weights)
    return alpha * soft + (1.0 - alpha) * weighted_mean(cross_entropy(who, student, labels), weights)
