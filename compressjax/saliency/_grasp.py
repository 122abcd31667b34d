"""GraSP: keep what preserves the flow of gradients."""

from collections.abc import Sequence
from typing import Any

from compressjax.core import values
from compressjax.saliency._contract import Saliency, Scores, wide
from compressjax.saliency._gradients import Loss, gradients, hessian_product, mean_over


def grasp(loss: Loss, batches: Sequence[Any]) -> Saliency:
    """Scores a connection by what its removal would take from the squared norm of the gradient.

    .. math:: s = \\theta \\odot H g

    with `g` the gradient and `H` the Hessian of the mean loss. To first order, removing `theta_q` changes
    `|g|^2 / 2` by `-s_q`; the paper's `S(-theta) = -theta * H g` has the other sign, and removes the highest. Scores
    are signed: the most negative go first. The paper softens the loss with logits divided by 200, and draws ten
    examples a class.

    Costs two passes over the batches, one of gradients and one of Hessian products, each of which is a backward pass
    with its tangent; `g`, a product and the sum so far are held. Bytes and speed are those of the zeros that it
    chooses: see `one_shot`.

    Args:
        loss: `(params, batch) -> scalar`, twice differentiable; put the temperature here.
        batches: List of batches; `g` and `H` are those of the mean over all of them.

    Returns:
        Saliency of every value.

    Raises:
        ValueError: From `score`, if there are no batches.

    Example:
        >>> import jax.numpy as jnp
        >>> loss = lambda p, x: jnp.sum(x * p["kernel"] ** 2)
        >>> grasp(loss, [jnp.float32(1.0)]).score({"kernel": jnp.full((1, 1), 3.0)})["kernel"].tolist()
        [[36.0]]

    Source: Wang et al., arXiv:2002.07376 (wang2020).
    """

    def score(params: Any, stats: Any = None) -> Scores:
        del stats
        flat = values(params)
        g = mean_over(batches, lambda batch: gradients(loss, params, batch), "grasp")
        curved = mean_over(batches, lambda batch: hessian_product(loss, params, batch, g), "grasp")
        return {path: wide(flat[path]) * x for path, x in curved.items()}

    return Saliency(score, "grasp")
