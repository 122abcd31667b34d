"""Scales and zero points of the blocks of a leaf."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.numerics._explicit import block_sharding, with_shardings
from compressjax.numerics._minifloat import exponent, power
from compressjax.quant.grids._grid import Grid
from compressjax.quant.grids._means import mean_scale
from compressjax.quant.grids._stored import SMALLEST, nested, shorten

_HALF = {"float16": (5, 10, 2.0**-14), "bfloat16": (8, 7, 2.0**-126)}


def tiles(shape: tuple[int, ...], blocks: tuple[int, ...]) -> list[int]:
    """The shape `[b_0, l_0, b_1, l_1, ...]`, so that one reduction serves tensors, channels, groups and tiles."""
    return [n for b, d in zip(blocks, shape) for n in (b, d // max(b, 1))]


def by_block(x: jax.Array, blocks: tuple[int, ...]) -> jax.Array:
    """The entries of every block along one last axis, float32 `[*blocks, n]`."""
    sizes = tiles(x.shape, blocks)
    tiled = x.astype(jnp.float32).reshape(sizes)
    ordered = jnp.transpose(tiled, (*range(0, tiled.ndim, 2), *range(1, tiled.ndim, 2)))
    return ordered.reshape(*blocks, math.prod(sizes[1::2]))


def mean_of_blocks(x: jax.Array, blocks: tuple[int, ...]) -> jax.Array:
    """The mean of every block, in float32; nothing is transposed, so that what is sharded stays where it is."""
    sizes = tiles(x.shape, blocks)

    def mean(x: jax.Array) -> jax.Array:
        return jnp.mean(x.astype(jnp.float32).reshape(sizes), axis=tuple(range(1, len(sizes), 2)))

    return with_shardings(mean, block_sharding(x, blocks))(x)


def fit(
    x: jax.Array, blocks: tuple[int, ...], grid: Grid, ratio: jax.Array | None = None
) -> tuple[jax.Array, jax.Array | None]:
    """Scale and zero point of every block, in float32; what the format of the scales cannot hold is rounded.

    .. math:: s = \\rho \\frac{\\max |x|}{q_{max}}, \\quad\\text{or}\\quad
        s = \\rho \\frac{\\max(x, 0) - \\min(x, 0)}{2^b - 1},\\; z = round(-\\rho \\min(x, 0) / s)

    Scales have at most 16 significant bits and codes at most 8, so their products are exact in float32 on all machines.
    On a symmetric grid, rounding is then idempotent. (With a zero point, a range that ends half-way between two codes
    may lose its last code the second time.)
    """
    if grid.form.averages:
        mean = mean_scale(jnp.abs(x.astype(jnp.float32)).reshape(tiles(x.shape, blocks)), grid)
        # Signs of a block of zeros need the scale 0; ternary codes are 0 there.
        empty = 0.0 if grid.form.kind == "binary" else 1.0
        return jax.lax.stop_gradient(jnp.where(mean > SMALLEST, _rounded(mean, grid), empty)), None
    tiled = x.astype(jnp.float32).reshape(tiles(x.shape, blocks))
    inner = tuple(range(1, tiled.ndim, 2))
    if grid.symmetric:
        low, width = None, jnp.max(jnp.abs(tiled), axis=inner, initial=0.0)
    else:
        low = jnp.min(tiled, axis=inner, initial=0.0)
        width = jnp.max(tiled, axis=inner, initial=0.0) - low
    scale = full = _full(width, grid)
    if ratio is not None:
        clipped = _full(width * ratio, grid) if grid.scale == "e8m0" else _rounded(full * ratio, grid)
        scale = jnp.where(width > SMALLEST, clipped, full)
    scale = jax.lax.stop_gradient(scale)
    # The ratio shrinks both ends by the same factor, so the zero point is that of the full range.
    steps = largest_code(grid)
    return scale, None if low is None else jnp.clip(jnp.round(-low / full), 0, steps).astype(jnp.int32)


def largest_code(grid: Grid) -> float:
    """The largest code; the smallest is its negative, or 0 with a zero point."""
    return grid.form.largest if grid.symmetric else 2.0**grid.bits - 1


def _full(width: jax.Array, grid: Grid) -> jax.Array:
    """Scales of blocks without clipping; 1 for blocks of zeros, unless their neighbors share the scales of scales."""
    if grid.scale == "e8m0":
        emax = grid.form.emax + (not grid.symmetric)
        return jnp.where(width > SMALLEST, power(exponent(width) - emax), 1.0)
    # Multiply by a constant, because some compilers replace a division by one with that.
    full = width * np.float32(1.0 / largest_code(grid))
    if grid.second is not None:
        return _rounded(jnp.where(width > SMALLEST, full, 0.0), grid)
    return jnp.where(width > SMALLEST, _rounded(full, grid), 1.0)


def _rounded(scale: jax.Array, grid: Grid) -> jax.Array:
    """The nearest scale that the node can hold."""
    if grid.second is not None:
        codes, second = nested(scale, grid)
        return codes * second
    if grid.scale == "e8m0":
        return power(exponent(scale * np.float32(2**0.5)))
    if grid.scale in _HALF:
        bits, mantissa, smallest = _HALF[grid.scale]
        return jax.lax.reduce_precision(jnp.maximum(scale, smallest), exponent_bits=bits, mantissa_bits=mantissa)
    return shorten(scale)
