"""Factor transfer: a teacher's features in their own short code."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from compressjax.core._settings import as_int
from compressjax.distill._pairs import examples, kept, unit, weighted_mean, weights_of
from compressjax.distill.features._linear import init_linear, linear


def init_factor(key: jax.Array, student: int, teacher: int, *, factors: int) -> dict[str, dict[str, jax.Array]]:
    """Returns the parts of factor transfer: a paraphraser of the teacher and a translator of the student.

    .. math:: P(t) = \\lambda(t A) B, \\quad F_t = \\lambda(t A), \\quad F_s = \\lambda(s C)

    with the leaky rectifier, slope 0.1. The paper has three convolutions where this has one linear map by position.

    Args:
        key: Random key.
        student: Number of features of the student.
        teacher: Number of features of the teacher.
        factors: Number of factors, about half of the teacher's features.

    Returns:
        `{"encoder": ..., "decoder": ..., "translator": ...}`, each with a kernel and a bias, float32.

    Raises:
        ValueError: If a number is below 1.

    Example:
        >>> init_factor(jax.random.key(0), 3, 8, factors=4)["translator"]["kernel"].shape
        (3, 4)

    Source: Kim et al., arXiv:1802.04977 (kim2018).
    """
    factors = as_int("init_factor", "factors", factors)
    if factors < 1:
        raise ValueError(f"init_factor: factors={factors} must be at least 1, about half of the teacher's features")
    a, b, c = jax.random.split(key, 3)
    return {
        "encoder": init_linear("init_factor", a, teacher, factors),
        "decoder": init_linear("init_factor", b, factors, teacher),
        "translator": init_linear("init_factor", c, student, factors),
    }


def paraphraser_loss(teacher: jax.Array, params: Mapping[str, Any], *, weights: jax.Array | None = None) -> jax.Array:
    """Returns the mean square of what the paraphraser loses; minimize it before the student is trained.

    .. math:: L = \\frac{1}{d} \\|t - P(t)\\|^2

    Args:
        teacher: `t`, `[..., d]`, any floating-point dtype; no gradient flows to it.
        params: From `init_factor`.
        weights: At least 0, broadcast to `[...]`; None weighs all alike.

    Returns:
        Scalar, float32: the mean over features, as a weighted mean over the other axes.

    Raises:
        ValueError: If shapes do not match.

    Example:
        >>> paraphraser_loss(jnp.zeros((2, 8)), init_factor(jax.random.key(0), 3, 8, factors=4)).item()
        0.0

    Source: Kim et al., arXiv:1802.04977 (kim2018).
    """
    who = "paraphraser_loss"
    weights = weights_of(who, weights, jnp.shape(teacher)[:-1])
    teacher = jax.lax.stop_gradient(kept(teacher, weights))
    back = linear(who, _encoded(who, teacher, params["encoder"]), params["decoder"])
    return weighted_mean(jnp.mean((back - teacher) ** 2, axis=-1), weights)


def factor_loss(
    student: jax.Array, teacher: jax.Array, params: Mapping[str, Any], *, weights: jax.Array | None = None
) -> jax.Array:
    """Returns the loss of factor transfer (FT): the mean difference between normalized factors.

    .. math:: L = \\frac{1}{n} \\Big\\|\\frac{F_s}{\\|F_s\\|_2} - \\frac{F_t}{\\|F_t\\|_2}\\Big\\|_1

    Factors of all positions of an example are normalized together; `n` is their number. The paraphraser gets no
    gradient.

    Args:
        student: `[batch, *positions, d_student]`, any floating-point dtype.
        teacher: `[batch, *positions, d]`; no gradient flows to it.
        params: From `init_factor`, the paraphraser trained with `paraphraser_loss`.
        weights: At least 0, broadcast to `[batch]`; None weighs all alike.

    Returns:
        Scalar, float32: a weighted mean over examples.

    Raises:
        ValueError: If shapes do not match.

    Example:
        >>> params = init_factor(jax.random.key(0), 8, 8, factors=4)
        >>> same = {**params, "translator": params["encoder"]}
        >>> factor_loss(jnp.ones((2, 8)), jnp.ones((2, 8)), same).item()
        0.0

    Source: Kim et al., arXiv:1802.04977 (kim2018).
    """
    who = "factor_loss"
    shapes = jnp.shape(student), jnp.shape(teacher)
    if min(len(s) for s in shapes) < 2 or shapes[0][:-1] != shapes[1][:-1]:
        raise ValueError(
            f"{who}: student {shapes[0]} and teacher {shapes[1]} must be [batch, *positions, features] with the same "
            "positions"
        )
    weights = weights_of(who, weights, shapes[0][:1])
    of_student = _encoded(who, kept(student, weights), params["translator"])
    of_teacher = _encoded(who, kept(teacher, weights), params["encoder"])
    x, y, weights = examples(who, of_student, of_teacher, weights)
    return weighted_mean(jnp.mean(jnp.abs(unit(x) - unit(y)), axis=-1), weights)


def _encoded(who: str, x: jax.Array, params: Any) -> jax.Array:
    return jax.nn.leaky_relu(linear(who, x, params), 0.1)
