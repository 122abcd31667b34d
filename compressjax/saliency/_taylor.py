"""First-order Taylor expansion: the squared change of the loss per batch."""

from collections.abc import Sequence
from typing import Any

from compressjax.core import values
from compressjax.saliency._contract import Saliency, Scores, from_params, wide
from compressjax.saliency._gradients import Loss, gradients, mean_over


def taylor(loss: Loss, batches: Sequence[Any]) -> Saliency:
    """Scores a weight by the squared first-order change of the loss after its removal, averaged over batches.

    .. math:: s = \\frac{1}{B} \\sum_b (w \\, g_b)^2

    Unlike in `snip`, opposite gradients of batches do not cancel, so it also works for trained networks. The score of a
    unit is the sum over its weights; `group_taylor` sums before squaring. Takes one backward pass per batch.

    Args:
        loss: `(params, batch) -> scalar`.
        batches: List of batches.

    Returns:
        Saliency of every value.

    Raises:
        ValueError: From `score`, if there are no batches.

    Example:
        >>> import jax.numpy as jnp
        >>> loss = lambda p, x: jnp.sum(x @ p["kernel"])
        >>> both = [jnp.array([[1.0]]), jnp.array([[-1.0]])]
        >>> taylor(loss, both).score({"kernel": jnp.full((1, 1), 3.0)})["kernel"].tolist()
        [[9.0]]

    Source: Molchanov et al., arXiv:1906.10771 (molchanov2019).
    """

    def score(params: Any) -> Scores:
        flat = {path: wide(x) for path, x in values(params).items()}

        def squared(batch: Any) -> Scores:
            return {path: (flat[path] * g) ** 2 for path, g in gradients(loss, params, batch).items()}

        return mean_over(batches, squared, "taylor")

    return from_params("taylor", score)
