"""Distillation of regressors."""

from typing import Any

import jax
import jax.numpy as jnp

from compressjax.distill._pairs import huber, kept, nonnegative, pair, positive, weighted_mean


def regression_loss(
    student: jax.Array, teacher: jax.Array, *, delta: Any = None, weights: jax.Array | None = None
) -> jax.Array:
    """Returns the mean square of the difference from a teacher, or Huber's loss of it.

    .. math:: L = \\frac{1}{d} \\sum_i (s_i - t_i)^2, \\quad \\text{or} \\quad \\frac{1}{d} \\sum_i h_\\delta(s_i - t_i)

    with `h(e) = e ** 2 / 2` up to `delta`, and `delta (|e| - delta / 2)` beyond.

    Args:
        student: `[..., d]`, any floating-point dtype.
        teacher: Of the same shape; no gradient flows to it.
        delta: Where Huber's loss becomes linear, above 0; None for the square.
        weights: At least 0, broadcast to `[...]`; None weighs all alike.

    Returns:
        Scalar, float32: the mean over the last axis, as a weighted mean over the others.

    Raises:
        ValueError: If shapes do not match, or `delta` is not positive.

    Example:
        >>> regression_loss(jnp.array([1.0, 3.0]), jnp.array([1.0, 1.0])).item()
        2.0
    """
    student, teacher, weights = pair("regression_loss", student, teacher, weights, what="[..., d]")
    error = student - teacher
    if delta is None:
        return weighted_mean(jnp.mean(error * error, axis=-1), weights)
    delta = positive("regression_loss", "delta", delta, "None is the mean square")
    return weighted_mean(jnp.mean(huber(error, delta), axis=-1), weights)


def bounded_regression_loss(
    student: jax.Array,
    teacher: jax.Array,
    targets: jax.Array,
    *,
    margin: Any = 0.0,
    nu: Any = 0.5,
    weights: jax.Array | None = None,
) -> jax.Array:
    """Returns a regression loss in which the teacher is a bound: who is better than the teacher is left alone.

    .. math:: L = \\sum_i h_1(s_i - y_i) + \\nu\\, [\\, \\|s - y\\|^2 + m > \\|t - y\\|^2 \\,]\\, \\|s - y\\|^2

    Args:
        student: `s`, `[..., d]`, any floating-point dtype.
        teacher: `t`, of the same shape; no gradient flows to it.
        targets: `y`, of the same shape.
        margin: `m`, by how much the student must be better, at least 0.
        nu: Weight of the bounded part, at least 0.
        weights: At least 0, broadcast to `[...]`; None weighs all alike.

    Returns:
        Scalar, float32: the sum over the last axis, as a weighted mean over the others.

    Raises:
        ValueError: If shapes do not match, or a setting is out of range.

    Example:
        >>> bounded_regression_loss(jnp.array([2.0]), jnp.array([5.0]), jnp.array([0.0])).item()
        1.5

    Source: Chen et al., Learning Efficient Object Detection Models with Knowledge Distillation (chen2017).
    """
    who = "bounded_regression_loss"
    margin = nonnegative(who, "margin", margin, "0 asks to be as good as the teacher")
    nu = nonnegative(who, "nu", nu, "0 leaves the teacher out")
    student, teacher, weights = pair(who, student, teacher, weights, what="[..., d]")
    if jnp.shape(targets) != student.shape:
        raise ValueError(f"{who}: targets {jnp.shape(targets)} must be {student.shape}, as the outputs are")
    targets = kept(targets, weights)
    own, its = (jnp.sum((x - targets) ** 2, axis=-1) for x in (student, teacher))
    bounded = jnp.where(own + margin > its, own, 0.0)
    return weighted_mean(jnp.sum(huber(student - targets), axis=-1) + nu * bounded, weights)
