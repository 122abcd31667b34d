"""Ranges of blocks below the largest magnitude: outliers are clipped where that lowers the error."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.core._checks import is_concrete
from compressjax.numerics._explicit import block_sharding, with_shardings
from compressjax.quant.grids._blocks import block_shape
from compressjax.quant.grids._codes import nearest
from compressjax.quant.grids._grid import Clip, Grid
from compressjax.quant.grids._scales import by_block, fit, tiles

RATIOS = np.linspace(1.0, 0.4, 25, dtype=np.float32)
_BINS, _CUTS = 512, 65


def best_ratio(path: str, x: jax.Array, grid: Grid) -> jax.Array | None:
    """The part of the range of every block that is kept, as `clip` says; None if that is all of it."""
    if grid.form.averages or grid.clip == "absmax":
        return None
    blocks = block_shape(path, x.shape, grid)
    found = partial(_search if grid.clip == "mse" else _ratio, blocks=blocks, grid=grid)
    return with_shardings(found, block_sharding(x, blocks))(x)


@partial(jax.jit, static_argnames=("blocks", "grid"))
def _search(x: jax.Array, blocks: tuple[int, ...], grid: Grid) -> jax.Array:
    """The ratio with the least squared error, among 25 from 1 down to 0.4."""
    tiled = tiles(x.shape, blocks)

    def error(ratio: jax.Array) -> jax.Array:
        scale, zero_point = fit(x, blocks, grid, jnp.full((1,) * len(blocks), ratio))
        wrong = nearest(x, scale, zero_point, grid) - x.astype(jnp.float32)
        return jnp.sum(jnp.square(wrong).reshape(tiled), axis=tuple(range(1, len(tiled), 2)))

    return jnp.asarray(RATIOS)[jnp.argmin(jax.lax.map(error, jnp.asarray(RATIOS)), axis=0)]


@partial(jax.jit, static_argnames=("blocks", "grid"))
def _ratio(x: jax.Array, blocks: tuple[int, ...], grid: Grid) -> jax.Array:
    magnitudes = jnp.abs(by_block(x, blocks))
    most = jnp.max(magnitudes, axis=-1, initial=0.0)
    kept = clipped_range(magnitudes, jnp.ones_like(magnitudes), grid.clip, grid.bits)
    return jnp.where(most > 0, jnp.clip(kept / jnp.where(most > 0, most, 1.0), 1e-3, 1.0), 1.0)


def ranges(path: str, magnitudes: jax.Array, counts: jax.Array, clip: Clip, bits: int = 8) -> jax.Array:
    """The largest magnitudes to keep `[...]`, from magnitudes `[..., n]` and how often each occurs.

    The magnitudes are entries, or the centers of the bins of a histogram. Distributions of nothing have no range.
    """
    if is_concrete(magnitudes) and is_concrete(counts):
        seen = jnp.any((counts > 0) & (magnitudes > 0), axis=-1)
        if not bool(jnp.all(seen)):
            what = "zeros" if bool(jnp.any(counts > 0)) else "nothing"
            raise ValueError(f"ranges: {path!r} has observed {what}, so it has no range; observe data that reaches it")
    return clipped_range(magnitudes, counts, clip, bits)


def clipped_range(magnitudes: jax.Array, counts: jax.Array, clip: Clip, bits: int) -> jax.Array:
    """`ranges` without its check."""
    name, number = clip if isinstance(clip, tuple) else (clip, 100.0)
    most = jnp.max(jnp.where(counts > 0, magnitudes, 0.0), axis=-1, initial=0.0)
    if name == "octav":
        return _octav(magnitudes, counts, bits)
    if name == "kl":
        return _entropy(magnitudes, counts, most, bits)
    return _percentile(magnitudes, counts, number) if name == "percentile" else most


def _percentile(magnitudes: jax.Array, counts: jax.Array, percent: float) -> jax.Array:
    """The smallest magnitude at or below which `percent` of all lie."""
    magnitudes, counts = magnitudes.astype(jnp.float32), counts.astype(jnp.float32)
    wanted = jnp.sum(counts, axis=-1) * np.float32(percent / 100) * np.float32(1 - 1e-6)
    # The bits of magnitudes are in their order. A search bit by bit needs only counts; a sort would gather the entries
    # of arrays that lie on several devices.
    keys = jax.lax.bitcast_convert_type(magnitudes, jnp.int32)

    def bit(i: jax.Array, low: jax.Array) -> jax.Array:
        middle = low + (jnp.int32(1) << (30 - i))
        below = jnp.sum(jnp.where(keys < middle[..., None], counts, 0.0), axis=-1)
        return jnp.where(below < wanted, middle, low)

    found = jax.lax.fori_loop(0, 31, bit, jnp.zeros(magnitudes.shape[:-1], jnp.int32))
    return jax.lax.bitcast_convert_type(found, jnp.float32)


def _octav(magnitudes: jax.Array, counts: jax.Array, bits: int, steps: int = 20) -> jax.Array:
    """The fixed point of Newton's recursion for the least sum of rounding and clipping noise.

    .. math:: s \\leftarrow \\frac{E[|x|\\, 1(|x| > s)]}{\\frac{4^{-b}}{3} E[1(0 < |x| \\le s)] + E[1(|x| > s)]}

    Source: Sakr et al., arXiv:2206.06501.
    """
    alive = counts * (magnitudes > 0)

    def step(_: jax.Array, s: jax.Array) -> jax.Array:
        above = magnitudes > s[..., None]
        clipped = jnp.sum(alive * above, axis=-1)
        rounded = jnp.sum(alive * ~above, axis=-1)
        return jnp.sum(alive * above * magnitudes, axis=-1) / jnp.maximum(clipped + rounded * (4.0**-bits / 3), 1e-30)

    start = jnp.sum(alive * magnitudes, axis=-1) / jnp.maximum(jnp.sum(alive, axis=-1), 1e-30)
    return jax.lax.fori_loop(0, steps, step, start)


def _entropy(magnitudes: jax.Array, counts: jax.Array, most: jax.Array, bits: int) -> jax.Array:
    """The cut whose quantized histogram differs least, in relative entropy, from the clipped histogram.

    Source: Migacz, 8-bit inference with TensorRT, GTC 2017.
    """
    levels = 2 ** (bits - 1)
    width = jnp.where(most > 0, most, 1.0)[..., None] / _BINS
    bins = jnp.clip(jnp.ceil(magnitudes / width) - 1, 0, _BINS - 1).astype(jnp.int32)
    shape, n = magnitudes.shape[:-1], magnitudes.shape[-1]
    rows = jnp.arange(int(np.prod(shape)))[:, None]
    flat = (
        jnp.zeros((rows.shape[0], _BINS)).at[rows, bins.reshape(-1, n)].add((counts * (magnitudes > 0)).reshape(-1, n))
    )
    cuts = jnp.unique(jnp.round(jnp.linspace(levels, _BINS, _CUTS)), size=_CUTS, fill_value=_BINS).astype(jnp.int32)
    losses = jax.lax.map(lambda cut: _divergence(flat, cut, levels), cuts)
    return cuts[jnp.argmin(losses, axis=0)].reshape(shape) * width[..., 0]


def _divergence(histogram: jax.Array, cut: jax.Array, levels: int) -> jax.Array:
    """KL(P | Q) of histograms `[m, bins]` cut at a bin: P with the rest in its last bin, Q in `levels` levels."""
    place = jnp.arange(_BINS)[None]
    inside = place < cut
    rest = jnp.sum(histogram * ~inside, axis=-1, keepdims=True)
    kept = histogram * inside
    p = kept + rest * (place == cut - 1)
    level = jnp.minimum(place * levels // cut, levels - 1)
    held = (p > 0) & inside

    def per_level(x: jax.Array) -> jax.Array:
        return jnp.zeros((x.shape[0], levels)).at[:, level[0]].add(x)

    q = jnp.where(held, (per_level(kept) / jnp.maximum(per_level(held * 1.0), 1.0))[:, level[0]], 0.0)
    p = p / jnp.maximum(jnp.sum(p, axis=-1, keepdims=True), 1e-30)
    q = q / jnp.maximum(jnp.sum(q, axis=-1, keepdims=True), 1e-30)
    # An empty level under the clipped tail costs as much as a probability of 1e-6.
    ratio = jnp.where(p > 0, p / jnp.maximum(q, 1e-6), 1.0)
    return jnp.sum(p * jnp.log(ratio), axis=-1)
