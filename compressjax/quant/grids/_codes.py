"""Nearest codes, and the nodes that hold them."""

from functools import partial

import jax
import jax.numpy as jnp

from compressjax.core._checks import check_finite
from compressjax.numerics._explicit import with_whole_results
from compressjax.quant.grids._activations import activation_scale
from compressjax.quant.grids._blocks import block_shape, own_axes
from compressjax.quant.grids._grid import Grid
from compressjax.quant.grids._scales import fit, largest_code
from compressjax.tensors import Quantized
from compressjax.tensors.quantized._grid import expand_blocks, storage_order


def round_codes(
    x: jax.Array, scale: jax.Array, zero_point: jax.Array | None, grid: Grid
) -> tuple[jax.Array, jax.Array]:
    """Nearest codes `clip(round(x / s) + z)`, and a mask of entries within the grid."""
    exact = jnp.round(x.astype(jnp.float32) / expand_blocks(scale, x.shape, x))
    steps = largest_code(grid)
    if zero_point is None:
        codes = jnp.clip(exact, -steps, steps)
        return codes.astype(jnp.int8), codes == exact
    exact = exact + expand_blocks(zero_point, x.shape, x).astype(jnp.float32)
    codes = jnp.clip(exact, 0, steps)
    return codes.astype(jnp.uint8), codes == exact


def nearest(x: jax.Array, scale: jax.Array, zero_point: jax.Array | None, grid: Grid) -> jax.Array:
    """The nearest points of the grid, `s (clip(round(x / s) + z) - z)`, in float32."""
    codes, _ = round_codes(x, scale, zero_point, grid)
    return Quantized(codes, scale, zero_point, bits=grid.bits).materialize()


# One program for a shape: outside of jit, XLA compiles every operation for every shape, for minutes on a whole model.
_fit = jax.jit(fit, static_argnums=(1, 2))


@partial(jax.jit, static_argnums=(3, 4))
def _round(
    x: jax.Array, scale: jax.Array, zero_point: jax.Array | None, grid: Grid, order: tuple[int, ...]
) -> tuple[jax.Array, jax.Array]:
    """Codes in their stored order, and a mask of entries within the grid."""
    codes, inside = round_codes(x, scale, zero_point, grid)
    return jnp.transpose(codes, storage_order(x.ndim, order)) if order else codes, inside


def quantize(
    path: str, x: jax.Array, grid: Grid, ratio: jax.Array | None = None, absmax: jax.Array | None = None
) -> tuple[Quantized, jax.Array]:
    """The node of a leaf, and a mask of entries within the grid."""
    check_finite("quantize", path, x)
    blocks = block_shape(path, x.shape, grid)
    grouped = not isinstance(grid.granularity, str)

    def fitted(x: jax.Array, ratio: jax.Array | None) -> tuple[jax.Array, jax.Array | None]:
        return _fit(x, blocks, grid, ratio)

    scale, zero_point = (with_whole_results(fitted, x) if grouped else fitted)(x, ratio)
    check_finite("quantize", path, scale, "scales", "its range overflows float32: scale the weights down")
    return place(path, x, grid, scale, zero_point, absmax)


def place(
    path: str,
    x: jax.Array,
    grid: Grid,
    scale: jax.Array,
    zero_point: jax.Array | None,
    absmax: jax.Array | None = None,
) -> tuple[Quantized, jax.Array]:
    """The node of a leaf on a grid whose scales are known, and a mask of entries within the grid."""
    order = grid.order
    if order is None:
        # Integer products are several times faster on [out, in]; keep the order of a table that is read by rows.
        order = (1, 0) if x.ndim == 2 and 0 not in own_axes(path, x.shape, grid)[0] else ()
    stored, inside = _round(x, scale, zero_point, grid, order)
    static = None if absmax is None else activation_scale(absmax)
    node = Quantized(stored, scale, zero_point, static, grid.bits, order, grid.activation, jnp.dtype(x.dtype).name)
    return node, inside
