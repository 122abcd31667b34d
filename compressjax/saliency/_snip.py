"""SNIP: the effect of removing a connection, before any training."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp

from compressjax.core import values
from compressjax.saliency._contract import Saliency, Scores, wide
from compressjax.saliency._gradients import Loss, gradients, mean_over


def snip(loss: Loss, batches: Sequence[Any]) -> Saliency:
    """Scores a connection by how much the loss reacts to its switch.

    .. math:: s = \\left| \\frac{\\partial L(c \\odot w)}{\\partial c} \\right|_{c=1} = |w \\, g|

    with the gradient `g` averaged over the batches. The paper divides by the sum of all scores, which no ranking
    notices. Meant for one mini-batch at initialization, ranked over all leaves: `one_shot(snip(...), s, "global")`.

    Costs one backward pass a batch; a gradient and the sum so far are held. Bytes and speed are those of the zeros that
    it chooses: see `one_shot`.

    Args:
        loss: `(params, batch) -> scalar`.
        batches: List of batches.

    Returns:
        Saliency of every value.

    Raises:
        ValueError: From `score`, if there are no batches.

    Example:
        >>> loss = lambda p, x: jnp.sum(x @ p["kernel"])
        >>> snip(loss, [jnp.array([[1.0, -2.0]])]).score({"kernel": jnp.full((2, 1), 3.0)})["kernel"].tolist()
        [[3.0], [6.0]]

    Source: Lee et al., arXiv:1810.02340 (lee2019).
    """

    def score(params: Any, stats: Any = None) -> Scores:
        del stats
        flat = values(params)
        mean = mean_over(batches, lambda batch: gradients(loss, params, batch), "snip")
        return {path: jnp.abs(wide(flat[path]) * g) for path, g in mean.items()}

    return Saliency(score, "snip")
