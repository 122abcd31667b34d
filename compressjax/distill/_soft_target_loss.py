"""Distillation from softened class probabilities."""

import jax
import jax.numpy as jnp

from compressjax.core._settings import as_number, numbers


def soft_targets(logits: jax.Array, temperature: float) -> jax.Array:
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
    return jnp.exp(_log_soft(logits, as_number("soft_targets", "temperature", temperature)))


def soft_target_loss(
    student_logits: jax.Array,
    teacher_logits: jax.Array,
    labels: jax.Array | None = None,
    *,
    temperature: float = 4.0,
    alpha: float = 0.5,
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
        temperature: `T`, above 0.
        alpha: Weight of the soft part, in [0, 1].

    Returns:
        Scalar, float32: the mean over all but the last axis.

    Raises:
        ValueError: If shapes do not match, or `temperature` or `alpha` is out of range.

    Example:
        >>> logits = jnp.array([[2.0, 0.0]])
        >>> soft_target_loss(logits, logits).item()
        0.0

    Source: Hinton et al., arXiv:1503.02531 (hinton2015).
    """
    if student_logits.shape != teacher_logits.shape:
        raise ValueError(
            f"soft_target_loss: student logits {student_logits.shape} and teacher logits {teacher_logits.shape} differ "
            "in shape; both must be [..., classes] over the same examples"
        )
    alpha, temperature = numbers("soft_target_loss", alpha=alpha, temperature=temperature)
    if not 0.0 <= alpha <= 1.0:
        raise ValueError(f"soft_target_loss: alpha={alpha} must be in [0, 1]; 1 ignores the labels")
    log_teacher = _log_soft(jax.lax.stop_gradient(teacher_logits), temperature)
    log_student = _log_soft(student_logits, temperature)
    soft = temperature**2 * jnp.mean(_expected(jnp.exp(log_teacher), log_teacher - log_student))
    if labels is None:
        return soft
    return alpha * soft + (1.0 - alpha) * _cross_entropy(student_logits, labels)


def _log_soft(logits: jax.Array, temperature: float) -> jax.Array:
    if not temperature > 0:
        raise ValueError(f"temperature={temperature} must be positive; 1 keeps the probabilities unchanged")
    return jax.nn.log_softmax(logits.astype(jnp.float32) / temperature, axis=-1)


def _expected(probabilities: jax.Array, x: jax.Array) -> jax.Array:
    """Sum of `p x` over the classes; a class of probability 0 adds 0, also where x is infinite."""
    counted = probabilities != 0
    return jnp.sum(jnp.where(counted, probabilities * jnp.where(counted, x, 0.0), 0.0), axis=-1)


def _cross_entropy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    log_probabilities = _log_soft(logits, 1.0)
    if labels.shape == logits.shape:
        return -jnp.mean(_expected(labels.astype(jnp.float32), log_probabilities))
    if labels.shape != logits.shape[:-1] or not jnp.issubdtype(labels.dtype, jnp.integer):
        raise ValueError(
            f"soft_target_loss: labels {labels.shape} of {labels.dtype} do not match logits {logits.shape}; give "
            f"integers {logits.shape[:-1]} or probabilities {logits.shape}"
        )
    return -jnp.mean(jnp.take_along_axis(log_probabilities, labels[..., None], axis=-1))
