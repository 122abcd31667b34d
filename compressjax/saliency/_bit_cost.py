"""Importance per bit: what a weight is worth against what its code takes in a file."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from compressjax.core._settings import as_int
from compressjax.numerics import with_auto_axes
from compressjax.saliency._contract import Saliency, on_leaves


def bit_cost(bits: int = 6, *, importance: Mapping[str, Any] | None = None) -> Saliency:
    """Scores a weight by the rise of the loss after its removal, per bit that the removal saves.

    .. math:: s_i = \\frac{h_i w_i^2}{1 + \\max(0, \\ell_{q_i} - \\ell_0)}, \\qquad \\ell_q = -\\log_2 \\frac{n_q}{n}

    where `q` rounds the leaf to a grid, and the lengths follow from its counts. Of two weights that matter alike, the
    one with the rarer code goes first, so the same loss gives a smaller file.

    Args:
        bits: Of the grid that stands for the later coding, 2 to 8.
        importance: `{path: h}`, such as the Fisher information; 1 for leaves that it lacks.

    Returns:
        Saliency of every value.

    Raises:
        ValueError: If `bits` is out of range; from `score`, if an importance has another shape.

    Example:
        >>> scores = bit_cost(2).score({"kernel": jnp.array([[0.0, 0.0, 0.0, 2.0]])})["kernel"]
        >>> [round(x, 3) for x in scores.ravel().tolist()]  # 2 bits against 0.415
        [0.0, 0.0, 0.0, 1.547]

    Source: in the manner of Wiedemann et al., arXiv:1907.11900 (wiedemann2020).
    """
    if not 2 <= as_int("bit_cost", "bits", bits) <= 8:
        raise ValueError(f"bit_cost: bits={bits} must be from 2 to 8")
    top = 2 ** (bits - 1) - 1

    def score(path: str, x: jax.Array) -> jax.Array:
        h = None if importance is None or path not in importance else jnp.asarray(importance[path], x.dtype)
        if h is not None and h.shape != x.shape:
            raise ValueError(f"bit_cost: importance of {path!r} has the shape {h.shape}, the leaf {x.shape}")

        def run(x: jax.Array) -> jax.Array:
            step = jnp.maximum(jnp.max(jnp.abs(x), initial=0.0) / top, jnp.finfo(x.dtype).tiny)
            codes = jnp.round(x / step).astype(jnp.int32) + top
            counts = jnp.bincount(codes.ravel(), length=2 * top + 1).astype(x.dtype)
            lengths = -jnp.log2(jnp.maximum(counts, 0.5) / max(x.size, 1))
            return x * x / (1 + jnp.maximum(lengths[codes] - lengths[top], 0))

        found = with_auto_axes(run, x)(x)
        return found if h is None else found * h

    return on_leaves("bit_cost", score)
