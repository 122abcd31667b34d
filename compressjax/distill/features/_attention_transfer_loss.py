"""Attention transfer: where the activations of a convolutional layer are large."""

from typing import Any

import jax
import jax.numpy as jnp

from compressjax.distill._pairs import kept, pair, positive, unit, weighted_mean, weights_of


def attention_transfer_loss(
    student: jax.Array, teacher: jax.Array, *, power: Any = 2.0, weights: jax.Array | None = None
) -> jax.Array:
    """Returns the loss of attention transfer (AT): the mean square between normalized maps of activity.

    .. math:: L = \\frac{1}{n} \\Big\\|\\frac{q_s}{\\|q_s\\|} - \\frac{q_t}{\\|q_t\\|}\\Big\\|^2, \\quad
        q_i = \\sum_c |x_{ic}|^p

    over the `n` positions `i`. Numbers of channels may differ; positions may not, so resize one of the maps.

    Args:
        student: `[batch, *positions, channels]`, any floating-point dtype.
        teacher: `[batch, *positions, channels]`; no gradient flows to it.
        power: `p`, above 0; larger looks at the peaks.
        weights: At least 0, broadcast to `[batch]`; None weighs all alike.

    Returns:
        Scalar, float32: a weighted mean over examples.

    Raises:
        ValueError: If examples or positions do not match, or the power is not positive.

    Example:
        >>> x = jnp.ones((1, 2, 2, 3))
        >>> attention_transfer_loss(x, 5 * x).item()
        0.0

    Source: Zagoruyko and Komodakis, arXiv:1612.03928 (zagoruyko2016).
    """
    who = "attention_transfer_loss"
    power = positive(who, "power", power, "2 sums squares")
    shapes = jnp.shape(student), jnp.shape(teacher)
    if min(len(s) for s in shapes) < 3 or shapes[0][:-1] != shapes[1][:-1]:
        raise ValueError(
            f"{who}: student {shapes[0]} and teacher {shapes[1]} must be [batch, *positions, channels] with the same "
            "positions; resize one with jax.image.resize"
        )
    weights = weights_of(who, weights, shapes[0][:1])
    own, its = (_activity(kept(x, weights), power) for x in (student, teacher))
    student, teacher, weights = pair(who, own, its, weights)
    return weighted_mean(jnp.mean((unit(student) - unit(teacher)) ** 2, axis=-1), weights)


def _activity(x: jax.Array, power: Any) -> jax.Array:
    """Sums of powers over channels, `[batch, positions]`, relative to the largest entry of each example."""
    x = jnp.abs(x.reshape(x.shape[0], -1, x.shape[-1]))
    largest = jax.lax.stop_gradient(jnp.max(x, axis=(1, 2), keepdims=True))
    x = x / jnp.where(largest > 0, largest, 1.0)  # powers of the largest floats would overflow
    return jnp.sum(jnp.where(x > 0, jnp.where(x > 0, x, 1.0) ** power, 0.0), axis=-1)
