"""One layer of a transformer: its hidden states and its attention."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from compressjax.distill._pairs import nonnegative, weighted_mean, weights_of
from compressjax.distill.features._hint_loss import hint_loss

_MASKED = -100.0  # scores below belong to masked tokens, as in the published code


def attention_map_loss(student: jax.Array, teacher: jax.Array, *, weights: jax.Array | None = None) -> jax.Array:
    """Returns the mean square between the attention scores of two layers.

    .. math:: L = \\frac{1}{h} \\sum_{a=1}^{h} mean_{i, j}\\, (A^s_{aij} - A^t_{aij})^2

    Scores are logits before the softmax, or probabilities. Pairs that the teacher masks (scores below -100) count 0.

    Args:
        student: `[batch, heads, queries, keys]`, any floating-point dtype.
        teacher: Of the same shape; no gradient flows to it.
        weights: At least 0, broadcast to `[batch, length]` for self-attention: a pair has the product of the weights of
            its query and key. None weighs all alike.

    Returns:
        Scalar, float32.

    Raises:
        ValueError: If shapes do not match, or weights are given for queries and keys of different lengths.

    Example:
        >>> x = jnp.zeros((1, 2, 3, 3))
        >>> attention_map_loss(x, x + 2).item()
        4.0

    Source: Jiao et al., arXiv:1909.10351 (jiao2019).
    """
    who = "attention_map_loss"
    shape = jnp.shape(student)
    if shape != jnp.shape(teacher) or len(shape) != 4:
        raise ValueError(
            f"{who}: student {shape} and teacher {jnp.shape(teacher)} differ in shape; both must be "
            "[batch, heads, queries, keys], so average or choose heads first"
        )
    if weights is None:
        pairs = jnp.ones((shape[0], shape[2], shape[3]), jnp.float32)
    elif shape[2] == shape[3]:
        tokens = weights_of(who, weights, (shape[0], shape[2]))
        pairs = tokens[:, :, None] * tokens[:, None, :]
    else:
        raise ValueError(f"{who}: {shape[2]} queries and {shape[3]} keys have no common weights; cut them, with None")
    pairs = jnp.broadcast_to(pairs[:, None], shape)
    its = jax.lax.stop_gradient(jnp.asarray(teacher).astype(jnp.float32))
    own = jnp.asarray(student).astype(jnp.float32)
    counted = (pairs != 0) & (its >= _MASKED)
    error = jnp.where(counted, own, 0.0) - jnp.where(counted, its, 0.0)
    return weighted_mean(error * error, pairs)


def transformer_layer_loss(
    student: Mapping[str, jax.Array],
    teacher: Mapping[str, jax.Array],
    regressor: Mapping[str, Any] | None = None,
    *,
    attention: Any = 1.0,
    weights: jax.Array | None = None,
) -> jax.Array:
    """Returns the layer loss of TinyBERT: hidden states through a linear map, plus attention scores.

    .. math:: L = \\frac{1}{d} \\|H_s W - H_t\\|^2 + \\alpha\\, \\frac{1}{h} \\sum_a MSE(A^s_a, A^t_a)

    Args:
        student: `{"hidden": [batch, length, d_student], "attention": [batch, heads, length, length]}`; attention may be
            absent, as for embeddings.
        teacher: The same of the teacher; no gradient flows to it.
        regressor: From `init_hint`, shared by all layers in the paper; None if both have the same width.
        attention: Weight of the attention scores, at least 0.
        weights: At least 0, broadcast to `[batch, length]`: 0 for padding. None weighs all alike.

    Returns:
        Scalar, float32.

    Raises:
        ValueError: If one side lacks a part, shapes do not match, or a setting is out of range.

    Example:
        >>> layer = {"hidden": jnp.ones((1, 3, 4)), "attention": jnp.ones((1, 2, 3, 3))}
        >>> transformer_layer_loss(layer, layer).item()
        0.0

    Source: Jiao et al., arXiv:1909.10351 (jiao2019).
    """
    who = "transformer_layer_loss"
    attention = nonnegative(who, "attention", attention, "0 leaves attention out")
    names = sorted(student), sorted(teacher)
    if names[0] != names[1] or names[0] not in (["hidden"], ["attention", "hidden"]):
        raise ValueError(f"{who}: student has {names[0]} and teacher {names[1]}; give 'hidden', with or without "
                         "'attention', for both")  # fmt: skip
    loss = hint_loss(student["hidden"], teacher["hidden"], regressor, weights=weights)
    if "attention" in student:
        loss = loss + attention * attention_map_loss(student["attention"], teacher["attention"], weights=weights)
    return loss
