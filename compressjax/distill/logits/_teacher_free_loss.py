"""Distillation from a made-up teacher: label smoothing with a temperature."""

import math
from typing import Any

import jax
import jax.numpy as jnp

from compressjax.core._settings import as_scalar
from compressjax.distill._pairs import (
    cross_entropy,
    expected,
    fraction,
    kept,
    labels_of,
    log_soft,
    temperature_of,
    weighted_mean,
    weights_of,
)


def teacher_free_loss(
    student_logits: jax.Array,
    labels: jax.Array,
    *,
    correct: Any = 0.99,
    temperature: Any = 20.0,
    alpha: Any = 0.5,
    weights: jax.Array | None = None,
) -> jax.Array:
    """Returns the loss of teacher-free distillation (Tf-KD): a teacher that is right with a given probability.

    .. math:: L = (1 - \\alpha)\\, CE(y, p_1) + \\alpha\\, KL(u_T \\,\\|\\, p_T), \\quad
        u(k) = \\begin{cases} a & k = y \\\\ (1 - a) / (C - 1) & k \\ne y \\end{cases}

    `u_T` and `p_T` are at temperature T. It needs no teacher. At `T = 1` its gradient is that of label smoothing.

    Args:
        student_logits: `[..., classes]`, two classes or more, any floating-point dtype.
        labels: `[...]` integers.
        correct: `a`, the probability of the label, in (0, 1); the paper takes 0.9 or more.
        temperature: `T`, above 0.
        alpha: Weight of the made-up teacher, in [0, 1].
        weights: At least 0, broadcast to `[...]`; None weighs all alike.

    Returns:
        Scalar, float32: the weighted mean over all but the last axis.

    Raises:
        ValueError: If labels do not match the logits, there is one class, or a setting is out of range.

    Example:
        >>> round(teacher_free_loss(jnp.array([[4.6, 0.0]]), jnp.array([0]), alpha=1.0).item(), 4)
        0.0

    Source: Yuan et al., arXiv:1909.11723 (yuan2019).
    """
    who = "teacher_free_loss"
    alpha = fraction(who, "alpha", alpha, "0 is the cross-entropy alone")
    temperature, correct = temperature_of(who, temperature), as_scalar(who, "correct", correct)
    if not isinstance(correct, jax.core.Tracer) and not 0 < correct < 1:
        raise ValueError(f"{who}: correct={correct} must be in (0, 1), such as 0.99")
    shape = student_logits.shape
    if not shape or shape[-1] < 2:
        raise ValueError(f"{who}: logits {shape} must be [..., classes] with two classes or more")
    weights = weights_of(who, weights, shape[:-1])
    student, labels = kept(student_logits, weights), labels_of(who, labels, shape)
    is_label = jax.nn.one_hot(labels, shape[-1], dtype=bool)
    others = jnp.log1p(-correct) - math.log(shape[-1] - 1)
    made = log_soft(jnp.where(is_label, jnp.log(correct), others), temperature)
    soft = expected(jnp.exp(made), made - log_soft(student, temperature))
    return weighted_mean((1.0 - alpha) * cross_entropy(who, student, labels) + alpha * soft, weights)
