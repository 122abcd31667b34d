"""Divergences between next-token distributions."""

from typing import Any

import jax
import jax.numpy as jnp

from compressjax.core._settings import as_scalar
from compressjax.distill._pairs import divergence, log_soft, pair, temperature_of, weighted_mean

KINDS = ("forward", "reverse", "skew", "skew_reverse")


def token_loss(
    student_logits: jax.Array,
    teacher_logits: jax.Array,
    *,
    kind: str = "forward",
    skew: Any = 0.1,
    temperature: Any = 1.0,
    weights: jax.Array | None = None,
) -> jax.Array:
    """Returns a Kullback-Leibler divergence between the tokens that a teacher and a student expect.

    .. math:: forward: KL(p \\,\\|\\, q), \\quad reverse: KL(q \\,\\|\\, p), \\quad
        skew: KL(p \\,\\|\\, \\alpha p + (1 - \\alpha) q), \\quad
        skew\\_reverse: KL(q \\,\\|\\, (1 - \\alpha) p + \\alpha q)

    times `T ** 2`, for the teacher's `p` and the student's `q` at temperature T. Forward covers all that the teacher
    may say, and is `soft_target_loss`. Reverse keeps to what the teacher finds likely. Skewed ones have bounded
    gradients.

    Args:
        student_logits: `[..., vocabulary]`, any floating-point dtype.
        teacher_logits: Of the same shape; no gradient flows to them.
        kind: `"forward"`, `"reverse"`, `"skew"` or `"skew_reverse"`.
        skew: `alpha`, in (0, 1); only the skewed kinds read it.
        temperature: `T`, above 0.
        weights: At least 0, broadcast to `[...]`: 0 for padding and prompts. None weighs all alike.

    Returns:
        Scalar, float32: a weighted mean over positions.

    Raises:
        ValueError: If shapes do not match, the kind is unknown, or a setting is out of range.

    Example:
        >>> round(token_loss(jnp.array([[0.0, 0.0]]), jnp.array([[0.0, 2.0]]), kind="reverse").item(), 4)
        0.4338

    Source: Gu et al., arXiv:2306.08543 (gu2023); skewed: Ko et al., arXiv:2402.03898 (ko2024).
    """
    who = "token_loss"
    if kind not in KINDS:
        raise ValueError(f"{who}: kind={kind!r} must be one of {', '.join(KINDS)}")
    temperature, skew = temperature_of(who, temperature), inside(who, "skew", skew, "use kind='forward' or 'reverse'")
    student, teacher, weights = pair(who, student_logits, teacher_logits, weights, what="[..., vocabulary]")
    log_q, log_p = log_soft(student, temperature), log_soft(teacher, temperature)
    if kind == "forward":
        values = divergence(log_p, log_q)
    elif kind == "reverse":
        values = divergence(log_q, log_p)
    elif kind == "skew":
        values = divergence(log_p, mixed(log_p, log_q, skew))
    else:
        values = divergence(log_q, mixed(log_q, log_p, skew))
    return temperature**2 * weighted_mean(values, weights)


def mixed(log_p: jax.Array, log_q: jax.Array, share: Any) -> jax.Array:
    """Logarithm of `share p + (1 - share) q`."""
    a, b = log_p + jnp.log(share), log_q + jnp.log1p(-share)
    # The derivative of `jnp.logaddexp` is NaN where both are -inf: a token that both exclude.
    high = jax.lax.stop_gradient(jnp.maximum(a, b))
    high = jnp.where(jnp.isfinite(high), high, 0.0)
    total = jnp.exp(a - high) + jnp.exp(b - high)
    return jnp.where(total > 0, jnp.log(jnp.where(total > 0, total, 1.0)) + high, -jnp.inf)


def inside(who: str, name: str, x: Any, hint: str) -> Any:
    """A setting in (0, 1); traced ones are not checked."""
    x = as_scalar(who, name, x)
    if not isinstance(x, jax.core.Tracer) and not 0 < x < 1:
        raise ValueError(f"{who}: {name}={x} must be in (0, 1); at the ends, {hint}")
    return x
