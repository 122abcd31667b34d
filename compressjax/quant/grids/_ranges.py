"""Ranges of blocks below the largest magnitude: outliers are clipped where that lowers the error."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.numerics._explicit import with_whole_results
from compressjax.quant.grids._blocks import block_shape
from compressjax.quant.grids._codes import nearest
from compressjax.quant.grids._grid import Grid
from compressjax.quant.grids._scales import fit, tiles

RATIOS = np.linspace(1.0, 0.4, 25, dtype=np.float32)


def best_ratio(path: str, x: jax.Array, grid: Grid) -> jax.Array:
    """The clipping ratio with the least squared error per block, among 25 from 1 down to 0.4.

    .. math:: \\rho = \\arg\\min \\sum (x - \\hat x_\\rho)^2
    """
    return with_whole_results(partial(_search, blocks=block_shape(path, x.shape, grid), grid=grid), x)(x)


@partial(jax.jit, static_argnames=("blocks", "grid"))
def _search(x: jax.Array, blocks: tuple[int, ...], grid: Grid) -> jax.Array:
    tiled = tiles(x.shape, blocks)

    def error(ratio: jax.Array) -> jax.Array:
        scale, zero_point = fit(x, blocks, grid, jnp.full((1,) * len(blocks), ratio))
        wrong = nearest(x, scale, zero_point, grid) - x.astype(jnp.float32)
        return jnp.sum(jnp.square(wrong).reshape(tiled), axis=tuple(range(1, len(tiled), 2)))

    return jnp.asarray(RATIOS)[jnp.argmin(jax.lax.map(error, jnp.asarray(RATIOS)), axis=0)]
