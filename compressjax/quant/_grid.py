"""Uniform grids: blocks, scales and codes, shared by all rounding methods."""

import math
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.core._checks import check_finite, is_concrete
from compressjax.core._layout import layout_of
from compressjax.core._settings import as_int
from compressjax.core._unfit import UnfitError
from compressjax.numerics._explicit import with_whole_results
from compressjax.tensors import Quantized
from compressjax.tensors.quantized._grid import expand_blocks, storage_order

# Blocks with a largest magnitude below this become zero, because their scale is not a normal float32.
SMALLEST = 1e-30
RATIOS = np.linspace(1.0, 0.4, 25, dtype=np.float32)


class Grid(NamedTuple):
    """Static description of a grid, with the settings of `rtn`."""

    bits: int
    granularity: str | int
    symmetric: bool
    axis: tuple[int, ...] | None
    order: tuple[int, ...] | None
    activation: str | None
    clip: str
    fallback: str


FALLBACKS = ("skip", "divisor", "channel", "raise")
# Groups below this cost half a byte per weight for their scale or more.
_SMALL = 8


def make_grid(
    who: str,
    bits: int,
    granularity: str | int,
    symmetric: bool,
    axis: int | tuple[int, ...] | None,
    order: tuple[int, ...] | None,
    activation: str | None,
    clip: str,
    fallback: str = "skip",
) -> Grid:
    """Returns the grid after checks of its settings."""
    bits = as_int(who, "bits", bits)
    granularity = granularity if isinstance(granularity, str) else as_int(who, "granularity", granularity)
    if not 2 <= bits <= 8:
        raise ValueError(f"{who}: bits={bits} must be an integer from 2 to 8")
    grouped = isinstance(granularity, int) and not isinstance(granularity, bool) and granularity >= 1
    if granularity not in ("channel", "tensor") and not grouped:
        raise ValueError(f"{who}: granularity={granularity!r} must be 'channel', 'tensor' or a group size such as 64")
    if activation not in (None, "dynamic", "static"):
        raise ValueError(f"{who}: activation={activation!r} must be None, 'dynamic' or 'static'")
    if clip not in ("absmax", "mse"):
        raise ValueError(f"{who}: clip={clip!r} must be 'absmax' or 'mse'")
    if fallback not in FALLBACKS:
        raise ValueError(f"{who}: fallback={fallback!r} must be one of {FALLBACKS}")
    axes = None if axis is None else tuple(axis) if isinstance(axis, tuple | list) else (as_int(who, "axis", axis),)
    stored = None if order is None else tuple(order)
    return Grid(bits, granularity, symmetric, axes, stored, activation, clip, fallback)


def own_axes(path: str, shape: tuple[int, ...], grid: Grid) -> tuple[set[int], int | None]:
    """Axes whose entries have separate scales, and the axis along which groups run."""
    if grid.axis is None:
        axes = layout_of(path, shape)
        return {*axes.batch, *axes.outputs}, axes.along
    if any(not -len(shape) <= a < len(shape) for a in grid.axis):
        raise UnfitError("grid", {path: f"shape {shape} has no axis {grid.axis}; set axis=, or granularity='tensor'"})
    own = {a % len(shape) for a in grid.axis}
    return own, max((a for a in range(len(shape)) if a not in own), default=None)


def block_shape(path: str, shape: tuple[int, ...], grid: Grid) -> tuple[int, ...]:
    """Shape of the scales of a leaf: one entry per block, with the number of axes of the leaf."""
    if grid.granularity == "tensor":
        return (1,) * len(shape)
    own, along = own_axes(path, shape, grid)
    blocks = [length if axis in own else 1 for axis, length in enumerate(shape)]
    if along is None:
        reason = f"shape {shape} would get a scale for every entry along {sorted(own)}; use granularity='tensor'"
        raise UnfitError("grid", {path: reason})
    if isinstance(grid.granularity, int):
        blocks[along] = shape[along] // _group(path, shape[along], grid.granularity, along, grid.fallback)
    return tuple(blocks)


def _group(path: str, length: int, size: int, axis: int, fallback: str) -> int:
    """The size of groups along an axis that `size` may not divide."""
    if length % size == 0:
        return size
    divisor = next(d for d in range(min(size, length), 0, -1) if length % d == 0)
    if fallback == "divisor" and divisor >= _SMALL:
        return divisor
    if fallback in ("divisor", "channel"):
        return length
    reason = (
        f"group size {size} does not divide the {length} inputs of axis {axis}; use fallback='divisor' (groups of "
        f"{divisor if divisor >= _SMALL else length}) or fallback='channel'"
    )
    if fallback == "raise":
        raise ValueError(f"{path!r}: {reason}, or 'skip'")
    raise UnfitError("grid", {path: reason})


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
    # Interleaved [b_0, l_0, b_1, l_1, ...], so that one reduction serves tensors, channels and groups.
    tiled = x.astype(jnp.float32).reshape([n for b, d in zip(blocks, x.shape) for n in (b, d // max(b, 1))])
    inner = tuple(range(1, tiled.ndim, 2))
    if grid.symmetric:
        low, width = None, jnp.max(jnp.abs(tiled), axis=inner, initial=0.0)
    else:
        low = jnp.min(tiled, axis=inner, initial=0.0)
        width = jnp.max(tiled, axis=inner, initial=0.0) - low
    steps = _steps(grid)
    # Multiply by a constant, because some compilers replace a division by one with that.
    full = jnp.where(width > SMALLEST, _shorten(width * np.float32(1.0 / steps)), 1.0)
    scale = jax.lax.stop_gradient(full if ratio is None else jnp.where(width > SMALLEST, _shorten(full * ratio), 1.0))
    # The ratio shrinks both ends by the same factor, so the zero point is that of the full range.
    return scale, None if low is None else jnp.clip(jnp.round(-low / full), 0, steps).astype(jnp.int32)


def _steps(grid: Grid) -> int:
    return 2 ** (grid.bits - 1) - 1 if grid.symmetric else 2**grid.bits - 1


def _shorten(scale: jax.Array) -> jax.Array:
    """Rounds to 16 significant bits."""
    return jax.lax.reduce_precision(scale, exponent_bits=8, mantissa_bits=15)


def round_codes(
    x: jax.Array, scale: jax.Array, zero_point: jax.Array | None, grid: Grid
) -> tuple[jax.Array, jax.Array]:
    """Nearest codes `clip(round(x / s) + z)`, and a mask of entries within the grid."""
    exact = jnp.round(x.astype(jnp.float32) / expand_blocks(scale, x.shape, x))
    steps = _steps(grid)
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
    grouped = isinstance(grid.granularity, int)

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


def check_range(who: str, path: str, absmax: jax.Array | None) -> None:
    """Raises if a known range of activations is zero or not finite, as without observations."""
    if absmax is not None and is_concrete(absmax) and not 0 < float(absmax) < math.inf:
        raise ValueError(
            f"{who}: the largest input of {path!r} is {float(absmax)}, so its activations have no scale; pass stats= "
            "from observe, on data that reaches the leaf"
        )


def activation_scale(absmax: jax.Array) -> jax.Array:
    """The scale of int8 activations with a largest magnitude of `absmax`: `absmax / 127`."""
    absmax = jnp.asarray(absmax, jnp.float32)
    return jnp.where(absmax > SMALLEST, absmax * np.float32(1.0 / 127.0), 1.0)


def best_ratio(path: str, x: jax.Array, grid: Grid) -> jax.Array:
    """The clipping ratio with the least squared error per block, among 25 from 1 down to 0.4.

    .. math:: \\rho = \\arg\\min \\sum (x - \\hat x_\\rho)^2
    """
    return with_whole_results(partial(_search, blocks=block_shape(path, x.shape, grid), grid=grid), x)(x)


@partial(jax.jit, static_argnames=("blocks", "grid"))
def _search(x: jax.Array, blocks: tuple[int, ...], grid: Grid) -> jax.Array:
    tiles = [n for b, d in zip(blocks, x.shape) for n in (b, d // max(b, 1))]

    def error(ratio: jax.Array) -> jax.Array:
        scale, zero_point = fit(x, blocks, grid, jnp.full((1,) * len(blocks), ratio))
        wrong = nearest(x, scale, zero_point, grid) - x.astype(jnp.float32)
        return jnp.sum(jnp.square(wrong).reshape(tiles), axis=tuple(range(1, len(tiles), 2)))

    return jnp.asarray(RATIOS)[jnp.argmin(jax.lax.map(error, jnp.asarray(RATIOS)), axis=0)]
