"""Hints: features of a middle layer, through a regressor."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from compressjax.distill._pairs import kept, pair, weighted_mean, weights_of
from compressjax.distill.features._linear import init_linear, linear


def init_hint(key: jax.Array, student: int, teacher: int) -> dict[str, jax.Array]:
    """Returns the regressor of `hint_loss`: a linear map from the features of a student to those of a teacher.

    .. math:: r(s) = s W + b, \\quad W_{ij} \\sim N(0, 1 / \\text{student})

    Args:
        key: Random key.
        student: Number of features of the student.
        teacher: Number of features of the teacher.

    Returns:
        `{"kernel": [student, teacher], "bias": [teacher]}`, float32.

    Raises:
        ValueError: If a number is below 1.

    Example:
        >>> init_hint(jax.random.key(0), 3, 5)["kernel"].shape
        (3, 5)

    Source: Romero et al., arXiv:1412.6550 (romero2014).
    """
    return init_linear("init_hint", key, student, teacher)


def hint_loss(
    student: jax.Array,
    teacher: jax.Array,
    regressor: Mapping[str, Any] | None = None,
    *,
    weights: jax.Array | None = None,
) -> jax.Array:
    """Returns the FitNets loss: the mean square between regressed features of the student and those of the teacher.

    .. math:: L = \\frac{1}{d} \\|r(s) - t\\|^2

    Args:
        student: `s`, `[..., d_student]`, any floating-point dtype: features, hidden states, images with channels last.
        teacher: `t`, `[..., d]`; no gradient flows to it.
        regressor: From `init_hint`; None if both have the same number of features.
        weights: At least 0, broadcast to `[...]`; None weighs all alike.

    Returns:
        Scalar, float32: the mean over features, as a weighted mean over the other axes.

    Raises:
        ValueError: If shapes do not match.

    Example:
        >>> hint_loss(jnp.array([[1.0, 3.0]]), jnp.array([[1.0, 1.0]])).item()
        2.0

    Source: Romero et al., arXiv:1412.6550 (romero2014).
    """
    who = "hint_loss"
    weights = weights_of(who, weights, jnp.shape(student)[:-1])
    student = kept(student, weights)
    if regressor is not None:
        student = linear(who, student, dict(regressor))
    student, teacher, weights = pair(who, student, teacher, weights, what="[..., features]")
    return weighted_mean(jnp.mean((student - teacher) ** 2, axis=-1), weights)
