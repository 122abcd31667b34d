"""Optimal Brain Surgeon on blocks: WoodFisher."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from compressjax.core import values
from compressjax.numerics import with_auto_axes
from compressjax.saliency._contract import Saliency, Scores, from_params, wide
from compressjax.saliency._gradients import Loss, stacked_gradients
from compressjax.saliency._woodbury import woodbury_inverse


def obs(loss: Loss, batches: Sequence[Any], *, block: int = 64, damping: float = 1e-5) -> Saliency:
    """Scores a weight by the rise of the loss after its removal, if the other weights of its block compensate.

    .. math:: s = \\frac{w_q^2}{2 [F^{-1}]_{qq}}, \\qquad F = \\lambda I + \\frac{1}{N} \\sum_n g_n g_n^\\top

    on blocks of successive weights of a leaf, with the inverse from `woodbury_inverse`. Takes one backward pass per
    example, and memory for examples times parameters.

    Args:
        loss: `(params, batch) -> scalar`, the mean over the examples; called with batches of one example.
        batches: List of batches, pytrees of arrays `[examples, ...]`.
        block: Number of weights per block, at least 1; 1 is `fisher` with damping.
        damping: Positive `lambda`.

    Returns:
        Saliency of every value.

    Raises:
        ValueError: If `block` is below 1 or `damping` is not positive; from `score`, if there are no batches.

    Example:
        >>> loss = lambda p, x: jnp.mean(x @ p["kernel"])
        >>> scores = obs(loss, [jnp.eye(2)], damping=0.5).score({"kernel": jnp.full((2, 1), 2.0)})
        >>> scores["kernel"].tolist()
        [[2.0], [2.0]]

    Source: Singh and Alistarh, arXiv:2004.14340 (singh2020); Hassibi and Stork, 1993 (hassibi1993).
    """
    if block < 1 or damping <= 0:
        raise ValueError(f"block={block} must be at least 1 and damping={damping} positive; the paper uses 1e-5")

    def score(params: Any) -> Scores:
        grads, found = stacked_gradients(loss, params, batches, "obs"), {}
        for path, x in values(params).items():
            found[path] = with_auto_axes(costs, x)(wide(x), grads[path])
        return found

    def costs(x: jax.Array, grads: jax.Array) -> jax.Array:
        inverse = _diagonals(grads.reshape(-1, x.size), min(block, x.size), damping)
        return x**2 / (2 * inverse.reshape(x.shape))

    return from_params(f"obs(block={block})", score)


def _diagonals(rows: jax.Array, block: int, damping: float) -> jax.Array:
    """Diagonal of the inverse of every block, `[n]`."""
    count, size = rows.shape
    padded = jnp.pad(rows, ((0, 0), (0, -size % block))).reshape(count, -1, block)
    # One block at a time, to keep only one inverse in memory.
    one = lambda part: jnp.diagonal(woodbury_inverse(part, damping))  # noqa: E731
    return jax.lax.map(one, jnp.moveaxis(padded, 1, 0)).ravel()[:size]
