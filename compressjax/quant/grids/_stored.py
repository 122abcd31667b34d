"""Scales as nodes hold them: numbers of a smaller type, or codes with scales of their own."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.numerics._explicit import block_sharding, with_shardings
from compressjax.numerics._minifloat import round_float
from compressjax.quant.grids._formats import SCALES
from compressjax.quant.grids._grid import Grid
from compressjax.tensors import Quantized
from compressjax.tensors.quantized._grid import expand_blocks

# Blocks with a largest magnitude below this become zero, because their scale is not a normal float32.
SMALLEST = 1e-30
_TYPES = {
    "float32": "float32", "float16": "float16", "bfloat16": "bfloat16", "e8m0": "float8_e8m0fnu",
    "e4m3": "float8_e4m3fn", "uint8": "uint8",
}  # fmt: skip


def stored_scale(scale: jax.Array, grid: Grid) -> Any:
    """The scales of a node: an array, or a node of their codes if they are quantized themselves."""
    if grid.second is None:
        return scale if grid.scale == "float32" else scale.astype(_TYPES[grid.scale])
    shardings = block_sharding(scale, scale.shape), block_sharding(scale, (1,) * scale.ndim)
    codes, second = with_shardings(partial(_nested, grid=grid), shardings)(scale)
    return Quantized(codes, second, bits=8)


@partial(jax.jit, static_argnames="grid")
def _nested(scale: jax.Array, grid: Grid) -> tuple[jax.Array, jax.Array]:
    codes, _ = nested(scale, grid)
    return codes.astype(_TYPES[grid.scale]), _second(scale, grid)


def nested(scale: jax.Array, grid: Grid) -> tuple[jax.Array, jax.Array]:
    """Codes of scales in float32, and the scale of every code.

    .. math:: c = round(s / S), \\quad S = \\max s / c_{max}

    A code is 0 for a scale of 0 on a binary grid only; on others, blocks of zeros get the smallest scale.
    """
    second = expand_blocks(_second(scale, grid), scale.shape)
    smallest, largest = (2.0**-9, 448.0) if grid.scale == "e4m3" else (1.0, 255.0)
    codes = scale / second
    codes = round_float(codes, 3, -6, largest) if grid.scale == "e4m3" else jnp.minimum(jnp.round(codes), largest)
    codes = jnp.maximum(codes, smallest)
    return (jnp.where(scale > 0, codes, 0.0) if grid.form.kind == "binary" else codes), second


def _second(scale: jax.Array, grid: Grid) -> jax.Array:
    """The scales of the scales."""
    blocks = second_blocks(scale.shape, grid.second)
    tiled = scale.reshape([n for b, d in zip(blocks, scale.shape) for n in (b, d // max(b, 1))])
    width = jnp.max(tiled, axis=tuple(range(1, tiled.ndim, 2)), initial=0.0)
    return jnp.where(width > SMALLEST, shorten(width * np.float32(1.0 / (SCALES[grid.scale] or 1.0))), 1.0)


def second_blocks(shape: tuple[int, ...], size: str | int | None) -> tuple[int, ...]:
    """Shape of the scales of scales: blocks of at most `size` over the last two axes, as large as divides."""
    if not isinstance(size, int):
        return (1,) * len(shape)
    blocks = list(shape)
    for axis in reversed(range(max(len(shape) - 2, 0), len(shape))):
        share = next(d for d in range(min(size, max(shape[axis], 1)), 0, -1) if shape[axis] % d == 0)
        blocks[axis], size = shape[axis] // share, size // share
    return tuple(blocks)


def shorten(scale: jax.Array) -> jax.Array:
    """Rounds to 16 significant bits."""
    return jax.lax.reduce_precision(scale, exponent_bits=8, mantissa_bits=15)
