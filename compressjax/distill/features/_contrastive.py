"""Contrastive distillation: an example's own teacher features against those of others."""

import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.core._settings import as_int
from compressjax.distill._pairs import Pair, examples, kept, log_soft, positive, temperature_of, unit, weighted_mean
from compressjax.distill.features._linear import init_linear, linear

Heads = Mapping[str, Any]


def init_contrastive(key: jax.Array, student: int, teacher: int, *, features: int = 128) -> dict[str, Any]:
    """Returns the heads of `info_nce_loss` and `crd_loss`: one linear map for the student and one for the teacher.

    .. math:: g(x) = \\frac{x W + b}{\\|x W + b\\|}

    Args:
        key: Random key.
        student: Number of features of the student.
        teacher: Number of features of the teacher.
        features: Number of features in which both are compared.

    Returns:
        `{"student": {"kernel", "bias"}, "teacher": {"kernel", "bias"}}`, float32. Both are trained.

    Raises:
        ValueError: If a number is below 1.

    Example:
        >>> init_contrastive(jax.random.key(0), 3, 8, features=4)["teacher"]["kernel"].shape
        (8, 4)

    Source: Tian et al., arXiv:1910.10699 (tian2019).
    """
    who = "init_contrastive"
    a, b = jax.random.split(key)
    return {"student": init_linear(who, a, student, features), "teacher": init_linear(who, b, teacher, features)}


def contrastive_features(x: jax.Array, head: Mapping[str, Any] | None = None) -> jax.Array:
    """Returns the features that contrastive losses compare, to fill the memory of negatives of `crd_loss`.

    .. math:: g(x) = \\frac{x W + b}{\\|x W + b\\|}

    Args:
        x: `[..., features]`, any floating-point dtype.
        head: One of the heads of `init_contrastive`; None for the identity.

    Returns:
        `[..., features]`, float32, of length 1.

    Raises:
        ValueError: If the features do not fit the head.

    Example:
        >>> contrastive_features(jnp.array([3.0, 4.0])).tolist()
        [0.6..., 0.8...]

    Source: Tian et al., arXiv:1910.10699 (tian2019).
    """
    x = jnp.asarray(x).astype(jnp.float32)
    return unit(x if head is None else linear("contrastive_features", x, dict(head)))


def info_nce_loss(
    student: jax.Array,
    teacher: jax.Array,
    heads: Heads | None = None,
    *,
    temperature: Any = 0.07,
    weights: jax.Array | None = None,
) -> jax.Array:
    """Returns the InfoNCE loss: the teacher's features of an example are to be told from those of the batch.

    .. math:: L = -\\frac{1}{b} \\sum_i \\log \\frac{e^{g(s_i)^\\top g(t_i) / T}}{\\sum_j e^{g(s_i)^\\top g(t_j) / T}}

    Args:
        student: `[batch, ...]`, any floating-point dtype.
        teacher: `[batch, ...]`; no gradient flows to it, but to its head.
        heads: From `init_contrastive`; None if both have the same number of features.
        temperature: `T`, above 0.
        weights: At least 0, broadcast to `[batch]`; examples of weight 0 are no negatives. None weighs all alike.

    Returns:
        Scalar, float32: a weighted mean over examples.

    Raises:
        ValueError: If shapes do not match, or the temperature is not positive.

    Example:
        >>> x = jnp.eye(2)
        >>> round(info_nce_loss(x, x, temperature=1.0).item(), 4)
        0.3133

    Source: van den Oord et al., arXiv:1807.03748 (oord2018).
    """
    who = "info_nce_loss"
    temperature = temperature_of(who, temperature)
    x, y, weights = _compared(who, student, teacher, heads, weights)
    alike = jnp.matmul(x, y.T, precision=jax.lax.Precision.HIGHEST)
    # An example of weight 0 is no negative; its own row counts nothing, and keeps its diagonal finite.
    others = jnp.broadcast_to(weights != 0, alike.shape) | jnp.eye(alike.shape[0], dtype=bool)
    logits = jnp.where(others, alike / temperature, -jnp.inf)
    return weighted_mean(-jnp.diagonal(log_soft(logits, 1.0)), weights)


def crd_loss(
    student: jax.Array,
    teacher: jax.Array,
    negatives: jax.Array,
    heads: Heads | None = None,
    *,
    examples: int,
    student_negatives: jax.Array | None = None,
    temperature: Any = 0.07,
    normalizer: Any = None,
    weights: jax.Array | None = None,
) -> jax.Array:
    """Returns the loss of contrastive representation distillation (CRD), with negatives from a memory of the caller.

    .. math:: L = -\\frac{1}{b} \\sum_i \\Big(\\log h(s_i, t_i) + \\sum_{n} \\log(1 - h(s_i, t_n))\\Big), \\quad
        h(s, t) = \\frac{e^{g(s)^\\top g(t) / T} / Z}{e^{g(s)^\\top g(t) / T} / Z + N / M}

    for N negatives of M examples. With negatives of the student too, the same is added with teacher and student in
    exchanged roles, as in the authors' code. The paper prints the formula with `Z = 1`; then every negative costs
    `log(1 + M / N)` at first, thousands in all, and training collapses. The authors' code takes for `Z` what makes
    the scores probabilities of `M` examples.

    Args:
        student: `s`, `[batch, ...]`, any floating-point dtype.
        teacher: `t`, `[batch, ...]`; no gradient flows to it, but to its head.
        negatives: Of the teacher, `[N, features]` for all examples or `[batch, N, features]`, as from
            `contrastive_features`; no gradient flows to them.
        heads: From `init_contrastive`; None if both have the same number of features.
        examples: `M`, the number of examples that negatives are drawn from, at least 1.
        student_negatives: Of the student, in the same form; None leaves the second half out.
        temperature: `T`, above 0.
        normalizer: `Z`, above 0; None is `M` times the mean of the scores of this batch with its negatives, without a
            gradient.
        weights: At least 0, broadcast to `[batch]`; None weighs all alike.

    Returns:
        Scalar, float32: a weighted mean over examples.

    Raises:
        ValueError: If shapes do not match, or a setting is out of range.

    Example:
        >>> x = jnp.array([[1.0, 0.0]])
        >>> round(crd_loss(x, x, jnp.array([[0.0, 1.0]]), examples=1, temperature=1.0, normalizer=1.0).item(), 4)
        1.0064

    Source: Tian et al., arXiv:1910.10699 (tian2019).
    """
    who = "crd_loss"
    temperature, count = temperature_of(who, temperature), as_int(who, "examples", examples)
    if count < 1:
        raise ValueError(f"{who}: examples={count} must be the number of examples of the data, at least 1")
    if normalizer is not None:
        normalizer = positive(who, "normalizer", normalizer, "None estimates it from the batch")
    x, y, weights = _compared(who, student, teacher, heads, weights)
    told_apart = functools.partial(_told_apart, weights != 0, count, temperature, normalizer)
    values = told_apart(x, y, _negatives("negatives", negatives, x, weights))
    if student_negatives is not None:
        others = _negatives("student_negatives", student_negatives, x, weights)
        values = values + told_apart(y, x, others)
    return weighted_mean(values, weights)


def _told_apart(
    used: jax.Array, count: int, temperature: Any, normalizer: Any, anchor: jax.Array, own: jax.Array, others: jax.Array
) -> jax.Array:
    """How badly every anchor is told from noise, `[batch]`: `h` is the sigmoid of the score over the odds of noise."""
    labels = "bd,nd->bn" if others.ndim == 2 else "bd,bnd->bn"
    scores = jnp.einsum(labels, anchor, others, precision=jax.lax.Precision.HIGHEST) / temperature
    number = others.shape[-2]
    if normalizer is None:
        total = jax.nn.logsumexp(jax.lax.stop_gradient(scores), where=used[:, None])
        # Without an example that counts, any number does.
        level = jnp.where(jnp.any(used), total - jnp.log(jnp.maximum(jnp.sum(used), 1) * number / count), 0)
    else:
        level = jnp.log(normalizer)
    odds = level + np.log(number / count)
    false = jax.nn.log_sigmoid(odds - scores)
    return -jax.nn.log_sigmoid(jnp.sum(anchor * own, axis=-1) / temperature - odds) - jnp.sum(false, axis=-1)


def _negatives(name: str, negatives: Any, x: jax.Array, weights: jax.Array) -> jax.Array:
    shape = jnp.shape(negatives)
    if len(shape) not in (2, 3) or shape[-1] != x.shape[-1] or shape[:-2] not in ((), x.shape[:1]) or not shape[-2]:
        raise ValueError(
            f"crd_loss: {name} {shape} must be [n, {x.shape[-1]}] or [{x.shape[0]}, n, {x.shape[-1]}], as made by "
            "contrastive_features"
        )
    others = jax.lax.stop_gradient(jnp.asarray(negatives).astype(jnp.float32))
    return kept(others, weights) if len(shape) == 3 else others


def _compared(who: str, student: Any, teacher: Any, heads: Heads | None, weights: Any) -> Pair:
    """Both sides through their heads; the teacher has no gradient, its head has."""
    x, y, weights = examples(who, student, teacher, weights)
    if heads is not None:
        x, y = linear(who, x, heads["student"]), linear(who, y, heads["teacher"])
    if x.shape != y.shape:
        raise ValueError(f"{who}: student {x.shape} and teacher {y.shape} differ in features; make heads with "
                         "init_contrastive")  # fmt: skip
    return Pair(unit(x), unit(y), weights)
