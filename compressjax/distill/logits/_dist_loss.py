"""Correlation instead of equality with a strong teacher."""

from typing import Any

import jax
import jax.numpy as jnp

from compressjax.distill._pairs import centered, log_soft, nonnegative, pair, temperature_of, unit, weighted_mean
from compressjax.numerics._numerics import root


def dist_loss(
    student_logits: jax.Array,
    teacher_logits: jax.Array,
    *,
    temperature: Any = 1.0,
    beta: Any = 1.0,
    gamma: Any = 1.0,
    weights: jax.Array | None = None,
) -> jax.Array:
    """Returns the loss of DIST: how far probabilities are from correlating with the teacher's.

    .. math:: L = T^2 \\Big(\\frac{\\beta}{B} \\sum_i (1 - \\rho(p^s_{i:}, p^t_{i:}))
        + \\frac{\\gamma}{C} \\sum_c (1 - \\rho(p^s_{:c}, p^t_{:c}))\\Big)

    `rho` is Pearson's correlation: between the classes of every example, and between the examples for every class.
    Constant rows or columns have correlation 0.

    Args:
        student_logits: `[..., classes]`, any floating-point dtype; all leading axes are examples.
        teacher_logits: Of the same shape; no gradient flows to them.
        temperature: `T`, above 0.
        beta: Weight of the relations between classes, at least 0.
        gamma: Weight of the relations between examples, at least 0.
        weights: At least 0, broadcast to `[...]`; None weighs all alike.

    Returns:
        Scalar, float32; 0 if all weights are.

    Raises:
        ValueError: If shapes do not match, or a setting is out of range.

    Example:
        >>> logits = jnp.array([[2.0, 0.0], [0.0, 1.0]])
        >>> abs(dist_loss(logits, logits).item()) < 1e-6
        True

    Source: Huang et al., arXiv:2205.10536 (huang2022).
    """
    who = "dist_loss"
    temperature = temperature_of(who, temperature)
    beta = nonnegative(who, "beta", beta, "0 leaves the relations between classes out")
    gamma = nonnegative(who, "gamma", gamma, "0 leaves the relations between examples out")
    student, teacher, weights = pair(who, student_logits, teacher_logits, weights)
    classes, weights = student.shape[-1], weights.reshape(-1)
    p, q = (jnp.exp(log_soft(x, temperature)).reshape(-1, classes) for x in (student, teacher))
    alike = jnp.ones(classes, jnp.float32)
    between_classes = jax.vmap(lambda a, b: 1.0 - _correlation(a, b, alike))(p, q)
    between_examples = jax.vmap(lambda a, b: 1.0 - _correlation(a, b, weights))(p.T, q.T)
    # Without any weight, no example is related to another.
    some = (jnp.sum(weights) != 0).astype(jnp.float32)
    inter = weighted_mean(between_classes, weights)
    return temperature**2 * (beta * inter + gamma * some * jnp.mean(between_examples))


def _correlation(x: jax.Array, y: jax.Array, weights: jax.Array) -> jax.Array:
    share = root(weights)
    a, b = (unit(share * centered(v, weighted_mean(v, weights))) for v in (x, y))
    return jnp.sum(a * b)
