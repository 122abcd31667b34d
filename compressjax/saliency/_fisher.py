"""Diagonal Fisher information: second-order scores from squared gradients of single examples."""

from collections.abc import Sequence
from typing import Any

import jax

from compressjax.core import values
from compressjax.saliency._contract import Saliency, Scores, from_params, wide
from compressjax.saliency._gradients import Loss, squared_gradients


def fisher(loss: Loss, batches: Sequence[Any]) -> Saliency:
    """Scores a weight by the rise of the loss after its removal, with the Fisher information as the Hessian.

    .. math:: s = \\tfrac12 w^2 F, \\qquad F = \\frac{1}{N} \\sum_n g_n^2

    with the gradients `g_n` of single examples. At a minimum of a log-likelihood, `F` approaches the diagonal of the
    Hessian. Takes one backward pass per example, and memory for batch size times parameters: use small batches.

    Args:
        loss: `(params, batch) -> scalar`, the mean over the examples; called with batches of one example.
        batches: List of batches, pytrees of arrays `[examples, ...]`; they may differ in size.

    Returns:
        Saliency of every value.

    Raises:
        ValueError: From `score`, if there are no batches.

    Example:
        >>> import jax.numpy as jnp
        >>> loss = lambda p, x: jnp.mean(x @ p["kernel"])
        >>> data = [jnp.array([[1.0], [-1.0]])]
        >>> fisher(loss, data).score({"kernel": jnp.full((1, 1), 2.0)})["kernel"].tolist()
        [[2.0]]

    Source: Theis et al., arXiv:1801.05787 (theis2018).
    """

    def score(params: Any) -> Scores:
        total = squared_gradients(loss, params, batches, "fisher")
        count = sum(jax.tree.leaves(batch)[0].shape[0] for batch in batches)
        return {path: wide(x) ** 2 * total[path] / (2 * count) for path, x in values(params).items()}

    return from_params("fisher", score)
