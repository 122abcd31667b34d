"""GraSP: keep the weights that preserve the gradient flow."""

from collections.abc import Sequence
from typing import Any

from compressjax.core import values
from compressjax.saliency._contract import Saliency, Scores, from_params, wide
from compressjax.saliency._gradients import Loss, gradients, hessian_product, mean_over


def grasp(loss: Loss, batches: Sequence[Any]) -> Saliency:
    """Scores a weight by the first-order decrease of the squared gradient norm after its removal.

    .. math:: s = \\theta \\odot H g

    with `g` the gradient and `H` the Hessian of the mean loss. Scores are signed: the most negative are removed first.
    The paper uses the opposite sign, logits divided by 200, and ten examples per class. Takes two passes over the
    batches, one of them with Hessian products.

    Args:
        loss: `(params, batch) -> scalar`, twice differentiable, including the temperature.
        batches: List of batches; `g` and `H` are means over all of them.

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

    def score(params: Any) -> Scores:
        flat = values(params)
        g = mean_over(batches, lambda batch: gradients(loss, params, batch), "grasp")
        curved = mean_over(batches, lambda batch: hessian_product(loss, params, batch, g), "grasp")
        return {path: wide(flat[path]) * x for path, x in curved.items()}

    return from_params("grasp", score)
