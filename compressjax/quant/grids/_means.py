"""Scales of binary and ternary blocks: means of magnitudes."""

import math

import jax
import jax.numpy as jnp

from compressjax.quant.grids._grid import Grid


def mean_scale(tiled: jax.Array, grid: Grid) -> jax.Array:
    """The scale of every block of magnitudes `[b_0, l_0, b_1, l_1, ...]`.

    Binary: :math:`\\alpha = E|w|`, the optimum for signs. Ternary: :math:`\\alpha = E[|w| : |w| > \\Delta]`, where
    :math:`\\Delta` is a fraction of the mean, or the exact optimum: among the k largest of a block, those with the
    largest :math:`(\\sum |w|)^2 / k`. Only that optimum sorts, for which a leaf on several devices is gathered.

    Source: Rastegari et al., arXiv:1603.05279; Li et al., arXiv:1605.04711.
    """
    inner = tuple(range(1, tiled.ndim, 2))
    if grid.form.kind == "binary":
        return jnp.mean(tiled, axis=inner)
    fraction = threshold(grid)
    if fraction is None:
        blocks = tiled.shape[::2]
        magnitudes = jnp.moveaxis(tiled, inner, range(-len(inner), 0)).reshape(*blocks, math.prod(tiled.shape[1::2]))
        sums = jnp.cumsum(jnp.flip(jnp.sort(magnitudes, axis=-1), axis=-1), axis=-1)
        counts = jax.lax.broadcasted_iota(jnp.float32, sums.shape, sums.ndim - 1) + 1
        best = jnp.argmax(jnp.square(sums) / counts, axis=-1, keepdims=True)
        return jnp.squeeze(jnp.take_along_axis(sums / counts, best, axis=-1), -1)
    above = tiled > fraction * jnp.mean(tiled, axis=inner, keepdims=True)
    return jnp.sum(tiled * above, axis=inner) / jnp.maximum(jnp.sum(above, axis=inner), 1)


def threshold(grid: Grid) -> float | None:
    """The threshold of ternary codes in units of the mean magnitude; None for the exact optimum."""
    return grid.clip[1] if isinstance(grid.clip, tuple) else None
