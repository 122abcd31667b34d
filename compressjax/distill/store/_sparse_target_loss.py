"""Distillation from the most probable tokens of a teacher."""

import jax
import jax.numpy as jnp

from compressjax.distill._pairs import divergence, kept, weighted_mean, weights_of


def sparse_target_loss(
    student_logits: jax.Array,
    tokens: jax.Array,
    log_probabilities: jax.Array,
    rest: jax.Array,
    *,
    weights: jax.Array | None = None,
) -> jax.Array:
    """Returns the divergence of a student from the top tokens of a teacher, all other tokens counted as one.

    .. math:: \\sum_{i \\in K} p_i \\log \\frac{p_i}{q_i} + p_r \\log \\frac{p_r}{q_r}, \\qquad
        p_r = 1 - \\sum_{i \\in K} p_i, \\; q_r = 1 - \\sum_{i \\in K} q_i

    A lower bound of the divergence over all tokens, and equal to it where K holds all but one.

    Args:
        student_logits: `[..., vocabulary]`, any floating-point dtype.
        tokens: `[..., k]` integers, distinct at a position; from `TeacherStore.targets`.
        log_probabilities: `[..., k]`, of these tokens; no gradient flows to them.
        rest: `[...]`, log probability of all others together.
        weights: At least 0, broadcast to `[...]`. None weighs all alike.

    Returns:
        Scalar, float32: a weighted mean over positions.

    Raises:
        ValueError: If shapes do not match.

    Example:
        >>> log_p = jnp.log(jnp.array([[0.5, 0.25, 0.25]]))
        >>> sparse_target_loss(log_p, jnp.array([[0]]), log_p[:, :1], jnp.log(jnp.array([0.5]))).item()
        0.0

    Source: Hinton et al., arXiv:1503.02531 (hinton2015); top tokens: Tan et al., arXiv:1902.10461 (tan2019).
    """
    shapes = [jnp.shape(x) for x in (student_logits, tokens, log_probabilities, rest)]
    lead = shapes[0][:-1]
    if shapes[1] != shapes[2] or shapes[1][:-1] != lead or shapes[3] != lead or not shapes[1][-1:] < shapes[0][-1:]:
        raise ValueError(
            f"sparse_target_loss: student {shapes[0]} must be [..., vocabulary], tokens {shapes[1]} and their log "
            f"probabilities {shapes[2]} [..., k] with fewer tokens than the vocabulary, and rest {shapes[3]} [...]"
        )
    weights = weights_of("sparse_target_loss", weights, lead)
    student = kept(student_logits, weights)
    hit = jnp.zeros(shapes[0], bool)
    hit = jnp.put_along_axis(hit, tokens, True, axis=-1, inplace=False)
    log_q = student - jax.nn.logsumexp(student, axis=-1, keepdims=True)
    least = jnp.finfo(jnp.float32).min
    others = jax.nn.logsumexp(jnp.where(hit, least, log_q), axis=-1, keepdims=True)
    own = jnp.concatenate([jnp.take_along_axis(log_q, tokens, axis=-1), others], axis=-1)
    given = jnp.concatenate([kept(log_probabilities, weights), kept(rest, weights)[..., None]], axis=-1)
    return weighted_mean(divergence(jax.lax.stop_gradient(given), own), weights)
