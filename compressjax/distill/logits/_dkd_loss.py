"""Decoupled distillation: the target class and the other classes apart."""

from typing import Any

import jax
import jax.numpy as jnp

from compressjax.distill._pairs import (
    divergence,
    labels_of,
    log_soft,
    nonnegative,
    pair,
    temperature_of,
    weighted_mean,
    weights_of,
)


def dkd_loss(
    student_logits: jax.Array,
    teacher_logits: jax.Array,
    labels: jax.Array,
    *,
    temperature: Any = 4.0,
    alpha: Any = 1.0,
    beta: Any = 8.0,
    weights: jax.Array | None = None,
) -> jax.Array:
    """Returns decoupled knowledge distillation (DKD): a weight for the target class, another for all other classes.

    .. math:: L = T^2 (\\alpha\\, KL(b^t \\,\\|\\, b^s) + \\beta\\, KL(\\hat p^t \\,\\|\\, \\hat p^s))

    `b = (p_y, 1 - p_y)` holds the probability of the target at temperature T; the other classes have the probabilities
    `p_i / (1 - p_y)`, and their part is 0 where the teacher masks all of them with `-inf`. With `alpha = 1` and
    `beta = 1 - p_y` of the teacher, the sum is Hinton's loss.

    Args:
        student_logits: `[..., classes]`, two classes or more, any floating-point dtype.
        teacher_logits: Of the same shape; no gradient flows to them.
        labels: `[...]` integers.
        temperature: `T`, above 0.
        alpha: Weight of the target class, at least 0.
        beta: Weight of the other classes: a number of at least 0, or an array that broadcasts to `[...]`.
        weights: At least 0, broadcast to `[...]`; None weighs all alike.

    Returns:
        Scalar, float32: the weighted mean over all but the last axis.

    Raises:
        ValueError: If shapes do not match, there is one class, or a setting is out of range.

    Example:
        >>> logits = jnp.array([[2.0, 0.0, 1.0]])
        >>> dkd_loss(logits, logits, jnp.array([0])).item()
        0.0

    Source: Zhao et al., arXiv:2203.08679 (zhao2022).
    """
    who = "dkd_loss"
    temperature = temperature_of(who, temperature)
    alpha = nonnegative(who, "alpha", alpha, "0 leaves the target class out")
    student, teacher, weights = pair(who, student_logits, teacher_logits, weights)
    if student.shape[-1] < 2:
        raise ValueError(f"{who}: logits {student.shape} have one class, and so no others; use multilabel_loss")
    if jnp.ndim(beta):
        beta = weights_of(who, beta, student.shape[:-1], "beta")
    else:
        beta = nonnegative(who, "beta", beta, "0 leaves the other classes out")
    is_target = jax.nn.one_hot(labels_of(who, labels, student.shape), student.shape[-1], dtype=bool)
    (target_t, others_t, some), (target_s, others_s, _) = (
        _apart(x / temperature, is_target) for x in (teacher, student)
    )
    among_others = jnp.where(some, divergence(others_t, others_s), 0.0)
    values = alpha * divergence(target_t, target_s) + beta * among_others
    return temperature**2 * weighted_mean(values, weights)


def _apart(logits: jax.Array, is_target: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Logarithms of the probabilities of target and rest, `[..., 2]`, and of the classes of the rest, if there are any.

    Where all other classes are masked by `-inf`, their probabilities say nothing; here they are then alike.
    """
    some = jnp.any(~is_target & (logits > -jnp.inf), axis=-1)
    others = jnp.where(is_target, -jnp.inf, jnp.where(some[..., None], logits, 0.0))
    target = jnp.sum(jnp.where(is_target, logits, 0.0), axis=-1)
    rest = jnp.where(some, jax.nn.logsumexp(others, axis=-1), -jnp.inf)
    return jax.nn.log_softmax(jnp.stack([target, rest], axis=-1), axis=-1), log_soft(others, 1.0), some
