"""Learned pairs of layers: attention of every student layer over all teacher layers."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from compressjax.core._settings import as_int
from compressjax.distill._pairs import kept, weighted_mean, weights_of
from compressjax.distill.features._linear import init_linear, linear

_WHO = "layer_attention_loss"


def init_layer_attention(
    key: jax.Array, student: Mapping[str, Any], teacher: Mapping[str, Any], *, features: int = 64
) -> dict[str, Any]:
    """Returns the trained parts of `layer_attention_loss`: queries, keys, and a regressor for every pair of layers.

    Args:
        key: Random key.
        student: `{layer: [batch, *positions, features]}`, arrays or shapes.
        teacher: The same of the teacher.
        features: Width of queries and keys.

    Returns:
        `{"queries": {layer: head}, "keys": {layer: head}, "regressors": {layer: {layer: head}}}`, float32.

    Raises:
        ValueError: If there are no layers, or `features` is below 1.

    Example:
        >>> layers = {"a": jnp.ones((2, 3)), "b": jnp.ones((2, 5))}
        >>> init_layer_attention(jax.random.key(0), layers, layers, features=4)["queries"]["b"]["kernel"].shape
        (5, 4)

    Source: Ji et al., arXiv:2102.02973 (ji2021); Chen et al., arXiv:2012.03236 (chen2020semckd).
    """
    who, features = "init_layer_attention", as_int("init_layer_attention", "features", features)
    if not student or not teacher:
        raise ValueError(f"{who}: there are {len(student)} layers of the student and {len(teacher)} of the teacher")
    keys = iter(jax.random.split(key, len(student) + len(teacher) + len(student) * len(teacher)))
    return {
        "queries": {s: init_linear(who, next(keys), x.shape[-1], features) for s, x in student.items()},
        "keys": {t: init_linear(who, next(keys), y.shape[-1], features) for t, y in teacher.items()},
        "regressors": {
            s: {t: init_linear(who, next(keys), x.shape[-1], y.shape[-1]) for t, y in teacher.items()}
            for s, x in student.items()
        },
    }


def layer_attention_loss(
    student: Mapping[str, jax.Array],
    teacher: Mapping[str, jax.Array],
    params: Mapping[str, Any],
    *,
    weights: jax.Array | None = None,
) -> jax.Array:
    """Returns the loss of every student layer to all teacher layers, weighted by learned attention.

    .. math:: L = \\frac{1}{b} \\sum_n \\sum_{s} \\sum_{t} \\alpha_{nst}\\, MSE(r_{st}(x_{ns}), y_{nt}), \\quad
        \\alpha_{ns:} = softmax_t(q_{ns}^\\top k_{nt} / \\sqrt d)

    Queries and keys are linear maps of activations averaged over positions, as in AFD; the attention of every example
    over the teacher's layers, and a regressor for every pair, as in SemCKD. Positions of all layers must agree, or are
    averaged first by the caller.

    Args:
        student: `{layer: [batch, *positions, features]}`, any floating-point dtype.
        teacher: The same of the teacher, over the same positions; no gradient flows to it.
        params: From `init_layer_attention`.
        weights: At least 0, broadcast to `[batch]`; None weighs all alike.

    Returns:
        Scalar, float32: a weighted mean over examples, summed over layers of the student.

    Raises:
        ValueError: If shapes do not match each other or the params.

    Example:
        >>> layers = {"a": jnp.zeros((2, 3)), "b": jnp.zeros((2, 5))}
        >>> layer_attention_loss(layers, layers, init_layer_attention(jax.random.key(0), layers, layers)).item()
        0.0

    Source: Ji et al., arXiv:2102.02973 (ji2021); Chen et al., arXiv:2012.03236 (chen2020semckd).
    """
    shapes = {f"{side} {k}": jnp.shape(x) for side, xs in (("student", student), ("teacher", teacher))
              for k, x in xs.items()}  # fmt: skip
    if len({s[:-1] for s in shapes.values()}) != 1 or min(len(s) for s in shapes.values()) < 2:
        raise ValueError(f"{_WHO}: {shapes} must be [batch, *positions, features] with the same positions")
    batch = next(iter(shapes.values()))[0]
    weights = weights_of(_WHO, weights, (batch,))
    own = {k: kept(x, weights) for k, x in student.items()}
    its = {k: jax.lax.stop_gradient(kept(x, weights)) for k, x in teacher.items()}
    keys = jnp.stack([linear(_WHO, _pooled(y), params["keys"][t]) for t, y in its.items()], axis=1)
    total = jnp.zeros(batch, jnp.float32)
    for s, x in own.items():
        query = linear(_WHO, _pooled(x), params["queries"][s])
        alpha = jax.nn.softmax(jnp.einsum("bd,btd->bt", query, keys) * query.shape[-1] ** -0.5, axis=-1)
        errors = [(linear(_WHO, x, params["regressors"][s][t]) - y) ** 2 for t, y in its.items()]
        means = jnp.stack([jnp.mean(e, axis=tuple(range(1, e.ndim))) for e in errors], axis=1)
        total = total + jnp.sum(alpha * means, axis=1)
    return weighted_mean(total, weights)


def _pooled(x: jax.Array) -> jax.Array:
    """Mean over positions, `[batch, features]`."""
    return jnp.mean(x, axis=tuple(range(1, x.ndim - 1)))
