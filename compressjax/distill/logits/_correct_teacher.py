"""A teacher whose wrong predictions are corrected."""

import jax
import jax.numpy as jnp

from compressjax.distill._pairs import labels_of


def correct_teacher(teacher_logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Returns the logits of a teacher with the label in first place: probability shift, where the teacher is wrong.

    .. math:: v_y' = \\max_j v_j, \\quad v_m' = v_y \\quad \\text{for } m = \\arg\\max_j v_j

    The label and the predicted class change their values, so the probabilities stay as soft as they were. Where the
    teacher is right, nothing changes. Pass the result to any loss.

    Args:
        teacher_logits: `[..., classes]`, any floating-point dtype; probabilities work too.
        labels: `[...]` integers.

    Returns:
        `[..., classes]`, in the dtype of the teacher.

    Raises:
        ValueError: If the labels do not match the logits.

    Example:
        >>> correct_teacher(jnp.array([1.0, 3.0, 2.0]), jnp.array(2)).tolist()
        [1.0, 2.0, 3.0]

    Source: Wen et al., arXiv:1911.07471 (wen2019).
    """
    classes = teacher_logits.shape[-1]
    label = labels_of("correct_teacher", labels, teacher_logits.shape)[..., None]
    best = jnp.argmax(teacher_logits, axis=-1, keepdims=True)
    index = jnp.broadcast_to(jnp.arange(classes), teacher_logits.shape)
    at_label = jnp.broadcast_to(jnp.take_along_axis(teacher_logits, label, axis=-1), index.shape)
    highest = jnp.broadcast_to(jnp.take_along_axis(teacher_logits, best, axis=-1), index.shape)
    swapped = jnp.where(index == best, at_label, teacher_logits)
    return jnp.where(index == label, highest, swapped)
