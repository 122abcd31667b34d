"""Variational information distillation: a Gaussian model of the teacher's features."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from compressjax.distill._pairs import kept, pair, positive, weighted_mean, weights_of
from compressjax.distill.features._linear import init_linear, linear

_LEAST = 1e-5  # variance


def init_vid(key: jax.Array, student: int, teacher: int, *, variance: Any = 5.0) -> dict[str, jax.Array]:
    """Returns the parts of `vid_loss` that are trained with the student.

    .. math:: \\mu(s) = s W + b, \\quad \\sigma_c^2 = \\log(1 + e^{\\alpha_c}) + \\epsilon

    Args:
        key: Random key.
        student: Number of features of the student.
        teacher: Number of features of the teacher.
        variance: Of every feature at the start, above 1e-5, the least that the model can have.

    Returns:
        `{"kernel": [student, teacher], "bias": [teacher], "alpha": [teacher]}`, float32.

    Raises:
        ValueError: If a number of features is below 1, or the variance is not above 1e-5.

    Example:
        >>> init_vid(jax.random.key(0), 3, 5)["alpha"].shape
        (5,)

    Source: Ahn et al., arXiv:1904.05835 (ahn2019).
    """
    variance = positive("init_vid", "variance", variance, "5 is what the authors start from")
    if not isinstance(variance, jax.core.Tracer) and variance <= _LEAST:
        raise ValueError(f"init_vid: variance={variance} must be above {_LEAST}, the least variance of the model; "
                         "scale the features of the teacher up")  # fmt: skip
    params = init_linear("init_vid", key, student, teacher)
    alpha = jnp.full(params["bias"].shape, variance - _LEAST, jnp.float32)
    return {**params, "alpha": alpha + jnp.log(-jnp.expm1(-alpha))}


def vid_loss(
    student: jax.Array, teacher: jax.Array, params: Mapping[str, Any], *, weights: jax.Array | None = None
) -> jax.Array:
    """Returns the loss of variational information distillation (VID): how well the student predicts the teacher.

    .. math:: L = \\frac{1}{d} \\sum_c \\Big(\\log \\sigma_c + \\frac{(t_c - \\mu_c(s))^2}{2 \\sigma_c^2}\\Big)

    Features that the student cannot predict get a large variance, and then count little. No variance is below
    `epsilon = 1e-5`, so features of a smaller spread (around 0.003) should be scaled up.

    Args:
        student: `s`, `[..., d_student]`, any floating-point dtype.
        teacher: `t`, `[..., d]`; no gradient flows to it.
        params: From `init_vid`.
        weights: At least 0, broadcast to `[...]`; None weighs all alike.

    Returns:
        Scalar, float32: the mean over features, as a weighted mean over the other axes.

    Raises:
        ValueError: If shapes do not match.

    Example:
        >>> params = init_vid(jax.random.key(0), 3, 2, variance=1.0)
        >>> abs(vid_loss(jnp.zeros((1, 3)), jnp.zeros((1, 2)), params).item()) < 1e-6
        True

    Source: Ahn et al., arXiv:1904.05835 (ahn2019).
    """
    who = "vid_loss"
    weights = weights_of(who, weights, jnp.shape(student)[:-1])
    mean = linear(who, kept(student, weights), {k: params[k] for k in ("kernel", "bias")})
    mean, teacher, weights = pair(who, mean, teacher, weights, what="[..., features]")
    variance = jax.nn.softplus(params["alpha"].astype(jnp.float32)) + _LEAST
    variance = jnp.broadcast_to(variance, mean.shape)
    values = 0.5 * jnp.log(variance) + (teacher - mean) ** 2 / (2.0 * variance)
    return weighted_mean(jnp.mean(values, axis=-1), weights)
