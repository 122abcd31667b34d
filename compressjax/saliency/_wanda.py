"""Wanda: magnitudes of weights times norms of activations."""

from typing import Any

import jax
import jax.numpy as jnp

from compressjax.saliency._contract import Saliency, on_inputs, wide
from compressjax.saliency._layout import layout


def wanda() -> Saliency:
    """Scores a weight by its magnitude times the norm of its input.

    .. math:: S_{ij} = |W_{ij}| \\cdot \\|X_i\\|_2

    for a kernel `[in, out]` and inputs `X`. Scores compare weights of the same output: use `pattern="balanced"`. Takes
    one pass of `observe` (`gram=False` is enough).

    Returns:
        Saliency of the values that have statistics; it needs `squares`.

    Raises:
        ValueError: From `score`, if there are no statistics, or they do not match a leaf.

    Example:
        >>> from types import SimpleNamespace
        >>> stats = {"kernel": SimpleNamespace(squares=jnp.array([9.0, 1.0]))}
        >>> wanda().score({"kernel": jnp.array([[1.0], [-2.0]])}, stats)["kernel"].tolist()
        [[3.0], [2.0]]

    Source: Sun et al., arXiv:2306.11695 (sun2024).
    """

    def score(path: str, x: jax.Array, stats: Any) -> jax.Array:
        return jnp.abs(x) * input_norms(path, x, stats)

    return on_inputs("wanda", ("squares",), score)


def input_norms(path: str, x: jax.Array, stats: Any) -> jax.Array:
    """Norm of the input of every weight, in the shape of the leaf."""
    axes = layout(path, x.shape, stats)
    norms = jnp.sqrt(wide(stats.squares)).reshape(-1, stats.squares.shape[-1], 1)
    return axes.leaf(jnp.broadcast_to(norms, (*norms.shape[:2], x.size // norms.size)), x.shape)
