"""Generalized Jensen-Shannon divergence."""

from typing import Any

import jax

from compressjax.distill._pairs import divergence, log_soft, pair, temperature_of, weighted_mean
from compressjax.distill.language._token_loss import inside, mixed


def jsd_loss(
    student_logits: jax.Array,
    teacher_logits: jax.Array,
    *,
    beta: Any = 0.5,
    temperature: Any = 1.0,
    weights: jax.Array | None = None,
) -> jax.Array:
    """Returns the generalized Jensen-Shannon divergence between teacher and student, as GKD minimizes it.

    .. math:: L = T^2 (\\beta\\, KL(p \\,\\|\\, m) + (1 - \\beta)\\, KL(q \\,\\|\\, m)), \\quad
        m = \\beta p + (1 - \\beta) q

    It is bounded. Divided by `beta` it becomes forward KL as `beta` goes to 0, and divided by `1 - beta` reverse KL as
    it goes to 1. For on-policy distillation, take sequences from `sample`.

    Args:
        student_logits: `[..., vocabulary]`, any floating-point dtype.
        teacher_logits: Of the same shape; no gradient flows to them.
        beta: Share of the teacher in the mixture, in (0, 1).
        temperature: `T`, above 0.
        weights: At least 0, broadcast to `[...]`: 0 for padding and prompts. None weighs all alike.

    Returns:
        Scalar, float32: a weighted mean over positions.

    Raises:
        ValueError: If shapes do not match, or a setting is out of range.

    Example:
        >>> import jax.numpy as jnp
        >>> round(jsd_loss(jnp.array([[1e4, 0.0]]), jnp.array([[0.0, 1e4]])).item(), 4)
        0.6931

    Source: Agarwal et al., arXiv:2306.13649 (agarwal2023).
    """
    who = "jsd_loss"
    temperature = temperature_of(who, temperature)
    beta = inside(who, "beta", beta, "use token_loss, forward or reverse")
    student, teacher, weights = pair(who, student_logits, teacher_logits, weights, what="[..., vocabulary]")
    log_q, log_p = log_soft(student, temperature), log_soft(teacher, temperature)
    middle = mixed(log_p, log_q, beta)
    values = beta * divergence(log_p, middle) + (1.0 - beta) * divergence(log_q, middle)
    return temperature**2 * weighted_mean(values, weights)
