"""Students that teach each other."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from compressjax.distill._pairs import (
    cross_entropy,
    divergence,
    kept,
    log_soft,
    nonnegative,
    temperature_of,
    weighted_mean,
    weights_of,
)


def mutual_losses(
    logits: Sequence[jax.Array],
    labels: jax.Array | None = None,
    *,
    peers: str = "each",
    temperature: Any = 1.0,
    strength: Any = 1.0,
    weights: jax.Array | None = None,
) -> tuple[jax.Array, ...]:
    """Returns one loss for every student: that on the labels, and the divergence from the other students.

    .. math:: L_k = CE(y, p_k) + \\frac{s\\,T^2}{K - 1} \\sum_{l \\ne k} KL(p_{l,T} \\,\\|\\, p_{k,T})

    is deep mutual learning (`peers="each"`). Codistillation compares with the mean of the others (`peers="mean"`):

    .. math:: L_k = CE(y, p_k) + s\\,T^2\\, KL\\Big(\\frac{1}{K - 1} \\sum_{l \\ne k} p_{l,T}
        \\,\\Big\\|\\, p_{k,T}\\Big)

    No gradient flows to the others, so the gradient of the sum is that of every loss for its own student. All students
    may learn in one step, as here, or in turn; their logits may also come from older copies of them.

    Args:
        logits: `K` arrays `[..., classes]` of one shape, at least 2, any floating-point dtype.
        labels: `[...]` integers or `[..., classes]` probabilities; None leaves out their part.
        peers: `"each"` or `"mean"`.
        temperature: `T`, above 0; may be traced.
        strength: `s`, at least 0; may be traced, as a warm-up of codistillation is.
        weights: At least 0, broadcast to `[...]`; a mask is weights of 0 and 1. None weighs all alike.

    Returns:
        `K` scalars, float32, in the order of the students.

    Raises:
        ValueError: If there are fewer than two students, shapes do not match, or a setting is out of range.

    Example:
        >>> a, b = jnp.array([[2.0, 0.0]]), jnp.array([[0.0, 0.0]])
        >>> [round(x.item(), 4) for x in mutual_losses([a, b], jnp.array([0]))]
        [0.5607, 1.021]

    Source: Zhang et al., arXiv:1706.00384 (zhang2018mutual); Anil et al., arXiv:1804.03235 (anil2018).
    """
    who = "mutual_losses"
    shapes = [jnp.shape(x) for x in logits]
    if len(shapes) < 2 or len(set(shapes)) > 1 or not shapes[0]:
        raise ValueError(f"{who}: logits {shapes} must be of two or more students, all [..., classes] of one shape")
    if peers not in ("each", "mean"):
        raise ValueError(f"{who}: peers={peers!r} is unknown; use 'each' or 'mean'")
    temperature = temperature_of(who, temperature)
    scale = nonnegative(who, "strength", strength, "0 trains on the labels alone") * temperature**2
    weights = weights_of(who, weights, shapes[0][:-1])
    students = [kept(x, weights) for x in logits]
    if labels is not None and jnp.shape(labels) == shapes[0]:
        labels = kept(labels, weights)
    soft = [log_soft(x, temperature) for x in students]
    losses = []
    for k, own in enumerate(soft):
        others = jax.lax.stop_gradient(jnp.stack(soft[:k] + soft[k + 1 :]))
        if peers == "mean":
            far = divergence(jax.nn.logsumexp(others, axis=0) - jnp.log(float(len(soft) - 1)), own)
        else:
            far = jnp.mean(divergence(others, jnp.broadcast_to(own, others.shape)), axis=0)
        entropy = 0.0 if labels is None else weighted_mean(cross_entropy(who, students[k], labels), weights)
        losses.append(entropy + scale * weighted_mean(far, weights))
    return tuple(losses)
