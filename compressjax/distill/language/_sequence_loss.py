"""Sequence-level distillation: what a teacher wrote, learned as text."""

import jax
import jax.numpy as jnp

from compressjax.distill._pairs import cross_entropy, kept, labels_of, weighted_mean, weights_of


def sequence_loss(student_logits: jax.Array, tokens: jax.Array, *, weights: jax.Array | None = None) -> jax.Array:
    """Returns the cross-entropy of a student on sequences of a teacher.

    .. math:: L = -\\frac{1}{n} \\sum_i \\log q(y_i \\,|\\, y_{<i}), \\quad y \\sim p^{teacher}

    The sequences come from `sample` or from a beam search with the teacher.

    Args:
        student_logits: `[..., length, vocabulary]`, any floating-point dtype: position i predicts token i.
        tokens: `[..., length]` integers; those of weight 0 may be anything.
        weights: At least 0, broadcast to `[..., length]`: 0 for padding and prompts. None weighs all alike.

    Returns:
        Scalar, float32: a weighted mean over positions.

    Raises:
        ValueError: If tokens or weights do not match the logits.

    Example:
        >>> round(sequence_loss(jnp.zeros((1, 3, 4)), jnp.zeros((1, 3), int)).item(), 4)
        1.3863

    Source: Kim and Rush, arXiv:1606.07947 (kim2016).
    """
    who = "sequence_loss"
    shape = jnp.shape(student_logits)
    if len(shape) < 2:
        raise ValueError(f"{who}: logits {shape} must be [..., length, vocabulary]")
    weights = weights_of(who, weights, shape[:-1])
    tokens = jnp.where(weights != 0, labels_of(who, tokens, shape), 0)
    return weighted_mean(cross_entropy(who, kept(student_logits, weights), tokens), weights)
