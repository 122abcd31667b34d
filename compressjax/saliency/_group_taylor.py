"""First-order Taylor expansion of whole units."""

from typing import Any

import jax.numpy as jnp

from compressjax.core import values
from compressjax.saliency._contract import Saliency, Scores, from_params, wide


def group_taylor(grads: Any) -> Saliency:
    """Scores a unit by the squared first-order change of the loss after its removal.

    .. math:: s_u = \\Big( \\sum_{w \\in u} w \\, \\partial L / \\partial w \\Big)^2

    The sum includes all coupled tensors of the unit, such as gates and norms. The scores of single weights are the
    signed terms, which rank only units (`structure.shrink`); use `taylor` to rank weights.

    Args:
        grads: Tree of gradients; missing leaves are ignored.

    Returns:
        Saliency of every value that has a gradient, comparable between groups.

    Example:
        >>> group_taylor({"a": jnp.array([3.0])}).score({"a": jnp.array([2.0])})["a"].tolist()
        [6.0]

    Source: Molchanov et al., arXiv:1906.10771 (molchanov2019).
    """
    by_path = values(grads)

    def score(params: Any) -> Scores:
        flat = {p: x for p, x in values(params).items() if getattr(by_path.get(p), "shape", None) == x.shape}
        return {path: wide(x) * jnp.asarray(by_path[path]) for path, x in flat.items()}

    return from_params("group_taylor", score, reduce="squared_sum", comparable=True)
