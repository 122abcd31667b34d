"""Scales and zero points of the blocks of a leaf."""

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.quant.grids._grid import Grid

# Blocks with a largest magnitude below this become zero, because their scale is not a normal float32.
SMALLEST = 1e-30


def tiles(shape: tuple[int, ...], blocks: tuple[int, ...]) -> list[int]:
    """The shape `[b_0, l_0, b_1, l_1, ...]`, so that one reduction serves tensors, channels, groups and tiles."""
    return [n for b, d in zip(blocks, shape) for n in (b, d // max(b, 1))]


def fit(
    x: jax.Array, blocks: tuple[int, ...], grid: Grid, ratio: jax.Array | None = None
) -> tuple[jax.Array, jax.Array | None]:
    """Scale and zero point of every block.

    .. math:: s = \\rho \\frac{\\max |x|}{2^{b-1} - 1}, \\quad\\text{or}\\quad
        s = \\rho \\frac{\\max(x, 0) - \\min(x, 0)}{2^b - 1},\\; z = round(-\\rho \\min(x, 0) / s)

    Scales have 16 significant bits and codes at most 8, so their products are exact in float32 on all machines. On a
    symmetric grid, rounding is then idempotent. (With a zero point, a range that ends half-way between two codes may
    lose its last code the second time.)
    """
    tiled = x.astype(jnp.float32).reshape(tiles(x.shape, blocks))
    inner = tuple(range(1, tiled.ndim, 2))
    if grid.symmetric:
        low, width = None, jnp.max(jnp.abs(tiled), axis=inner, initial=0.0)
    else:
        low = jnp.min(tiled, axis=inner, initial=0.0)
        width = jnp.max(tiled, axis=inner, initial=0.0) - low
    steps = largest_code(grid)
    # Multiply by a constant, because some compilers replace a division by one with that.
    full = jnp.where(width > SMALLEST, shorten(width * np.float32(1.0 / steps)), 1.0)
    scale = jax.lax.stop_gradient(full if ratio is None else jnp.where(width > SMALLEST, shorten(full * ratio), 1.0))
    # The ratio shrinks both ends by the same factor, so the zero point is that of the full range.
    return scale, None if low is None else jnp.clip(jnp.round(-low / full), 0, steps).astype(jnp.int32)


def largest_code(grid: Grid) -> float:
    """The largest code; the smallest is its negative, or 0 with a zero point."""
    return grid.form.largest if grid.symmetric else 2.0**grid.bits - 1


def shorten(scale: jax.Array) -> jax.Array:
    """Rounds to 16 significant bits."""
    return jax.lax.reduce_precision(scale, exponent_bits=8, mantissa_bits=15)
