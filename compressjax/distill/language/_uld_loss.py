"""Distillation between vocabularies by the sizes of probabilities, whatever the tokens are."""

from typing import Any

import jax
import jax.numpy as jnp

from compressjax.distill._pairs import kept, log_soft, temperature_of, weighted_mean, weights_of


def uld_loss(
    student_logits: jax.Array,
    teacher_logits: jax.Array,
    *,
    temperature: Any = 1.0,
    weights: jax.Array | None = None,
) -> jax.Array:
    """Returns the universal logit distillation loss (ULD): the distance between sorted probabilities.

    .. math:: L = \\frac{1}{n} \\sum_i \\sum_k |p_{i(k)} - q_{i(k)}|

    where `(k)` is the k-th largest, and the smaller vocabulary is filled up with 0. It is the Wasserstein distance if
    all tokens are equally far from each other. Positions must mean the same; `align_spans` and `span_loss` compare text
    that is cut differently.

    Args:
        student_logits: `[..., vocabulary]`, any floating-point dtype.
        teacher_logits: `[..., other vocabulary]` over the same positions; no gradient flows to them.
        temperature: `T`, above 0.
        weights: At least 0, broadcast to `[...]`: 0 for padding. None weighs all alike.

    Returns:
        Scalar, float32: a weighted mean over positions.

    Raises:
        ValueError: If positions do not match, or the temperature is not positive.

    Example:
        >>> uld_loss(jnp.array([[0.0, 1.0]]), jnp.array([[1.0, 0.0, -jnp.inf]])).item()
        0.0

    Source: Boizard et al., arXiv:2402.12030 (boizard2024).
    """
    who = "uld_loss"
    temperature = temperature_of(who, temperature)
    shapes = jnp.shape(student_logits), jnp.shape(teacher_logits)
    if not all(shapes) or shapes[0][:-1] != shapes[1][:-1]:
        raise ValueError(
            f"{who}: student {shapes[0]} and teacher {shapes[1]} must be [..., vocabulary] over the same positions; "
            "cut the longer one"
        )
    weights = weights_of(who, weights, shapes[0][:-1])
    size = max(shape[-1] for shape in shapes)
    own, its = (_ordered(kept(x, weights), temperature, size) for x in (student_logits, teacher_logits))
    return weighted_mean(jnp.sum(jnp.abs(own - jax.lax.stop_gradient(its)), axis=-1), weights)


def _ordered(logits: jax.Array, temperature: Any, size: int) -> jax.Array:
    """Probabilities from the largest on, filled up with 0."""
    found = jnp.exp(log_soft(jax.lax.rev(jax.lax.sort(logits), (logits.ndim - 1,)), temperature))
    return jnp.pad(found, [(0, 0)] * (found.ndim - 1) + [(0, size - found.shape[-1])])
