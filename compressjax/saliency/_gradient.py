"""Magnitude of the gradient."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp

from compressjax.saliency._contract import Saliency
from compressjax.saliency._gradients import Loss, on_gradients


def gradient(loss: Loss, batches: Sequence[Any]) -> Saliency:
    """Scores a weight by the magnitude of its mean gradient.

    .. math:: s = \\left| \\frac{1}{B} \\sum_b \\frac{\\partial L_b}{\\partial w} \\right|

    RigL uses it to grow connections: unlike `snip`, it also ranks zero weights. Takes one backward pass per batch.

    Args:
        loss: `(params, batch) -> scalar`, with `params` of the structure passed to `score`; lift it for nodes.
        batches: List of batches.

    Returns:
        Saliency of every value.

    Raises:
        ValueError: From `score`, if there are no batches.

    Example:
        >>> loss = lambda p, x: jnp.sum(x @ p["kernel"])
        >>> gradient(loss, [jnp.array([[1.0, -2.0]])]).score({"kernel": jnp.zeros((2, 1))})["kernel"].tolist()
        [[1.0], [2.0]]

    Source: Evci et al., arXiv:1911.11134 (evci2020).
    """
    return on_gradients("gradient", loss, batches, lambda w, g: jnp.abs(g))
