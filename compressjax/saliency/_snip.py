"""SNIP: sensitivity of the loss to each weight, before training."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp

from compressjax.saliency._contract import Saliency
from compressjax.saliency._gradients import Loss, on_gradients


def snip(loss: Loss, batches: Sequence[Any]) -> Saliency:
    """Scores a weight by the sensitivity of the loss to its mask.

    .. math:: s = \\left| \\frac{\\partial L(c \\odot w)}{\\partial c} \\right|_{c=1} = |w \\, g|

    with the gradient `g` averaged over the batches. The paper also divides by the sum, which does not change rankings.
    Use it at initialization with a global ranking: `one_shot(snip(...), s, "global")`. Takes one backward pass per
    batch.

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
    return on_gradients("snip", loss, batches, lambda w, g: jnp.abs(w * g))
