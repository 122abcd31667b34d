"""Nearest codes of every format."""

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.numerics._minifloat import float_bits, round_float
from compressjax.quant.grids._grid import Grid
from compressjax.quant.grids._means import threshold
from compressjax.quant.grids._scales import largest_code, mean_of_blocks
from compressjax.tensors import Quantized
from compressjax.tensors.quantized._grid import expand_blocks
from compressjax.tensors.quantized._tables import TABLES

# Entries this close to a code, in steps, are on it: rounding by chance must not move what is on the grid.
_ON = 2.0**-12


def round_codes(
    x: jax.Array, scale: jax.Array, zero_point: jax.Array | None, grid: Grid, key: jax.Array | None = None
) -> tuple[jax.Array, jax.Array]:
    """Nearest codes `clip(round(x / s) + z)`, and a mask of entries within the grid.

    With a key, integer codes are rounded by chance, `floor(x / s + u)`, which is right on average.
    """
    form, x = grid.form, x.astype(jnp.float32)
    if form.averages:
        return _signs(x, scale, grid), jnp.ones(x.shape, bool)
    exact = x / expand_blocks(scale, x.shape, x)
    if form.kind == "int":
        return _integers(exact, zero_point, grid, key)
    inside = jnp.abs(exact) <= form.largest
    if form.kind == "table":
        levels = TABLES[form.table or ""]
        middles = jnp.asarray((levels[1:] + levels[:-1]) / np.float32(2))
        return jnp.searchsorted(middles, exact, method="compare_all").astype(form.dtype), inside
    numbers = round_float(exact, form.mantissa, form.emin, form.largest)
    if form.table is not None:
        return float_bits(numbers, form.mantissa, form.emin, form.bits), inside
    return numbers.astype(form.dtype), inside


def _integers(
    exact: jax.Array, zero_point: jax.Array | None, grid: Grid, key: jax.Array | None
) -> tuple[jax.Array, jax.Array]:
    rounded = jnp.round(exact)
    if key is not None:
        drawn = jnp.floor(exact + jax.random.uniform(key, exact.shape))
        rounded = jnp.where(jnp.abs(exact - rounded) < _ON, rounded, drawn)
    steps = largest_code(grid)
    if zero_point is None:
        codes = jnp.clip(rounded, -steps, steps)
        return codes.astype(jnp.int8), codes == rounded
    rounded = rounded + expand_blocks(zero_point, exact.shape, exact).astype(jnp.float32)
    codes = jnp.clip(rounded, 0, steps)
    return codes.astype(jnp.uint8), codes == rounded


def _signs(x: jax.Array, scale: jax.Array, grid: Grid) -> jax.Array:
    """Binary or ternary codes."""
    if grid.form.kind == "binary":
        return jnp.where(x < 0, -1, 1).astype(jnp.int8)
    fraction = threshold(grid)
    if fraction is None:
        limit = 0.5 * expand_blocks(scale, x.shape, x)
    else:
        mean = mean_of_blocks(jnp.abs(x), scale.shape)
        limit = fraction * expand_blocks(mean, x.shape, x)
    return jnp.where(jnp.abs(x) > limit, jnp.sign(x), 0).astype(jnp.int8)


def nearest(x: jax.Array, scale: jax.Array, zero_point: jax.Array | None, grid: Grid) -> jax.Array:
    """The nearest points of the grid, `s (clip(round(x / s) + z) - z)`, in float32."""
    codes, _ = round_codes(x, scale, zero_point, grid)
    return Quantized(codes, scale, zero_point, bits=grid.bits, table=grid.form.table).materialize()
