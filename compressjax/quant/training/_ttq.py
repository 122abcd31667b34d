"""Trained ternary quantization (TTQ): zero and two learned levels per layer."""

import jax
import jax.numpy as jnp
import optax

from compressjax.core import Compression
from compressjax.core._settings import as_number
from compressjax.quant.training._learned import Rounding, learned_grid
from compressjax.tensors import Codebook


def ttq(threshold: float = 0.05, *, optimizer: optax.GradientTransformation | None = None) -> Compression:
    """Trains weights through three values per leaf, of which two are learned.

    .. math:: \\hat W = W_p [W > \\Delta] - W_n [W < -\\Delta], \\quad \\Delta = t \\max |W|, \\qquad
        g_{W_p} = \\sum_{W > \\Delta} g, \\quad g_{W_n} = -\\sum_{W < -\\Delta} g

    with `g` the gradient of the view. The dense weight gets `W_p g` above the threshold, `W_n g` below it, and `g`
    between. The levels start at the mean magnitude of their weights. Takes 2 bits a weight before entropy coding and at
    most 1.58 after it; no speed-up.

    Args:
        threshold: The factor `t`, at least 0 and below 1; 0.05 in the paper.
        optimizer: Optimizer of the levels; `optax.adam(1e-4)` if None.

    Returns:
        Compression whose nodes are `Codebook`.

    Raises:
        ValueError: If the threshold is out of range.

    Example:
        >>> method = ttq()
        >>> params = {"kernel": jnp.array([[1.0, 3.0, 0.1, -1.0]])}
        >>> method.view(params, method.init(params))["kernel"].tolist()
        [[2.0, 2.0, 0.0, -1.0]]

    Source: Zhu et al., arXiv:1612.01064 (zhu2016).
    """
    threshold = as_number("ttq", "threshold", threshold)
    if not 0 <= threshold < 1:
        raise ValueError(f"ttq: threshold={threshold} must be at least 0 and below 1; 0.05 is usual")

    def sides(x: jax.Array) -> tuple[jax.Array, jax.Array]:
        wide = x.astype(jnp.float32)
        delta = threshold * jnp.max(jnp.abs(wide), initial=0.0)
        return wide > delta, wide < -delta

    def start(path: str, x: jax.Array) -> jax.Array:
        wide = jnp.abs(x.astype(jnp.float32))
        means = [jnp.sum(wide, where=side) / jnp.maximum(jnp.sum(side, dtype=jnp.float32), 1.0) for side in sides(x)]
        return jnp.stack(means)

    def node(path: str, x: jax.Array, levels: jax.Array) -> Codebook:
        up, down = sides(x)
        table = jnp.stack([-levels[1], jnp.zeros(()), levels[0]]).astype(x.dtype)
        return Codebook(table, (1 + up.astype(jnp.int8) - down.astype(jnp.int8)).astype(jnp.uint8))

    def pull(path: str, x: jax.Array, levels: jax.Array, g: jax.Array) -> tuple[jax.Array, jax.Array]:
        up, down = sides(x)
        through = g * jnp.where(up, levels[0], jnp.where(down, levels[1], 1.0))
        return through, jnp.stack([jnp.sum(g, where=up), -jnp.sum(g, where=down)])

    moves = optax.adam(1e-4) if optimizer is None else optimizer
    rounding = Rounding(start, node, pull, lambda levels: jnp.maximum(levels, 0.0))
    return learned_grid("ttq", f"ttq(threshold={threshold})", rounding, moves)
