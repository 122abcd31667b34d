"""FPGM: filters near the geometric median are redundant."""

from typing import Any

import jax
import jax.numpy as jnp

from compressjax.core import values
from compressjax.numerics import with_auto_axes
from compressjax.saliency._contract import Saliency, Scores, from_params, wide


def fpgm() -> Saliency:
    """Scores a filter by its distances to all other filters of its leaf.

    .. math:: s_j = \\sum_{k} \\|F_j - F_k\\|_2

    for filters `F_j = W[..., j]`. All weights of a filter have its score; use a pattern of whole filters. A leaf takes
    as many operations as its size times its outputs.

    Returns:
        Saliency of every value with at least two axes.

    Example:
        >>> fpgm().score({"kernel": jnp.array([[0.0, 1.0, 3.0]])})["kernel"].tolist()
        [[4.0, 3.0, 5.0]]

    Source: He et al., arXiv:1811.00250 (he2019).
    """

    def score(params: Any) -> Scores:
        return {path: with_auto_axes(_distances, x)(wide(x)) for path, x in values(params).items() if x.ndim > 1}

    return from_params("fpgm", score)


def _distances(x: jax.Array) -> jax.Array:
    filters = x.reshape(-1, x.shape[-1]).T

    # One filter at a time, to avoid an array of the size of the leaf times its outputs.
    def distances(one: jax.Array) -> jax.Array:
        return jnp.sum(jnp.sqrt(jnp.sum(jnp.square(filters - one[None]), axis=1)))

    return jnp.broadcast_to(jax.lax.map(distances, filters).reshape((1,) * (x.ndim - 1) + (-1,)), x.shape)
