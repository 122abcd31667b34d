"""Size of the gradient: what would move matters."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp

from compressjax.saliency._contract import Saliency, Scores
from compressjax.saliency._gradients import Loss, gradients, mean_over


def gradient(loss: Loss, batches: Sequence[Any]) -> Saliency:
    """Scores a weight by the size of the mean gradient.

    .. math:: s = \\left| \\frac{1}{B} \\sum_b \\frac{\\partial L_b}{\\partial w} \\right|

    RigL grows connections by it: unlike `snip`, it tells weights apart that are zero.

    Costs one backward pass a batch; a gradient and the sum so far are held. Bytes and speed are those of the zeros that
    it chooses: see `one_shot`.

    Args:
        loss: `(params, batch) -> scalar`; `params` has the structure that `score` is given (with nodes in it, the loss
            is to call a lifted function).
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

    def score(params: Any, stats: Any = None) -> Scores:
        del stats
        mean = mean_over(batches, lambda batch: gradients(loss, params, batch), "gradient")
        return {path: jnp.abs(g) for path, g in mean.items()}

    return Saliency(score, "gradient")
