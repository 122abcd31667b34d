"""LAMP: magnitudes that are comparable between layers."""

import jax
import jax.numpy as jnp

from compressjax.core import UnfitError
from compressjax.numerics import with_auto_axes
from compressjax.numerics._counts import INT32
from compressjax.saliency._contract import Saliency, on_leaves


def lamp() -> Saliency:
    """Scores a weight by its square over the sum of all squares in its leaf that are not smaller.

    .. math:: s_u = \\frac{w_u^2}{\\sum_{v:\\, v \\ge u} w_v^2}, \\qquad |w_1| \\le |w_2| \\le \\dots

    The largest weight of every leaf scores 1, so no leaf loses all weights. Use it with a global ranking, which then
    chooses the sparsity of each leaf: `one_shot(lamp(), s, "global")`. Takes one sort per leaf.

    Returns:
        Saliency of every value; among equal weights, later ones score higher.

    Example:
        >>> lamp().score({"kernel": jnp.array([[1.0, 2.0]])})["kernel"].tolist()
        [[0.2..., 1.0]]

    Source: Lee et al., arXiv:2010.07611 (lee2021).
    """

    def scored(path: str, x: jax.Array) -> jax.Array:
        if x.size >= INT32:
            reason = (
                f"it has {x.size} weights, and one array of at most {INT32 - 1} is sorted; split it, by layers or rows"
            )
            raise UnfitError("lamp", {path: reason})
        return with_auto_axes(score, x)(x)

    def score(x: jax.Array) -> jax.Array:
        squares = jnp.square(x).ravel()
        order = jnp.argsort(squares)
        ascending = squares[order]
        # Sum from the largest weight down, for small rounding errors.
        rest = jnp.cumsum(ascending[::-1])[::-1]
        ratio = ascending / jnp.where(rest > 0, rest, 1.0)
        return jnp.zeros_like(squares).at[order].set(ratio).reshape(x.shape)

    return on_leaves("lamp", scored)
