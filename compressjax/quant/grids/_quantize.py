"""The node of a leaf, in two programs for a shape: scales, then codes."""

import zlib
from functools import partial

import jax
import jax.numpy as jnp

from compressjax.core._checks import check_finite
from compressjax.numerics._explicit import block_sharding, with_shardings
from compressjax.quant.grids._activations import activation_scale
from compressjax.quant.grids._blocks import block_shape, own_axes
from compressjax.quant.grids._codes import round_codes
from compressjax.quant.grids._grid import Grid
from compressjax.quant.grids._scales import fit
from compressjax.quant.grids._stored import stored_scale
from compressjax.tensors import Quantized
from compressjax.tensors.quantized._grid import storage_order

# One program for a shape: outside of jit, XLA compiles every operation for every shape, for minutes on a whole model.
_fit = jax.jit(fit, static_argnums=(1, 2))


@partial(jax.jit, static_argnums=(3, 4))
def _round(
    x: jax.Array,
    scale: jax.Array,
    zero_point: jax.Array | None,
    grid: Grid,
    order: tuple[int, ...],
    key: jax.Array | None,
) -> tuple[jax.Array, jax.Array]:
    """Codes in their stored order, and a mask of entries within the grid."""
    codes, inside = round_codes(x, scale, zero_point, grid, key)
    return jnp.transpose(codes, storage_order(x.ndim, order)) if order else codes, inside


def quantize(
    path: str,
    x: jax.Array,
    grid: Grid,
    ratio: jax.Array | None = None,
    absmax: jax.Array | None = None,
    key: jax.Array | None = None,
) -> tuple[Quantized, jax.Array]:
    """The node of a leaf, and a mask of entries within the grid."""
    check_finite("quantize", path, x)
    blocks = block_shape(path, x.shape, grid)
    whole = not isinstance(grid.granularity, str) or grid.form.averages or grid.second is not None

    def fitted(x: jax.Array, ratio: jax.Array | None) -> tuple[jax.Array, jax.Array | None]:
        return _fit(x, blocks, grid, ratio)

    scale, zero_point = (with_shardings(fitted, block_sharding(x, blocks)) if whole else fitted)(x, ratio)
    check_finite("quantize", path, scale, "scales", "its range overflows float32: scale the weights down")
    return place(path, x, grid, scale, zero_point, absmax, key)


def place(
    path: str,
    x: jax.Array,
    grid: Grid,
    scale: jax.Array,
    zero_point: jax.Array | None,
    absmax: jax.Array | None = None,
    key: jax.Array | None = None,
) -> tuple[Quantized, jax.Array]:
    """The node of a leaf on a grid whose scales are known, and a mask of entries within the grid."""
    order = grid.order
    if order is None:
        # Integer products are several times faster on [out, in]; keep the order of a table that is read by rows.
        order = (1, 0) if x.ndim == 2 and 0 not in own_axes(path, x.shape, grid)[0] else ()
    if key is not None:
        key = jax.random.fold_in(key, zlib.crc32(path.encode()))  # the same on every machine, another for every leaf
    codes, inside = _round(x, scale, zero_point, grid, order, key)
    node = Quantized(
        codes=codes,
        scale=stored_scale(scale, grid),
        zero_point=zero_point,
        activation_scale=None if absmax is None else activation_scale(absmax),
        bits=grid.bits,
        order=order,
        activation=grid.activation,
        dtype_name=jnp.dtype(x.dtype).name,
        table=grid.form.table,
    )
    return node, inside
