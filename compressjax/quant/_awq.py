"""AWQ: input scales that protect the weights of large inputs, found by search."""

from collections.abc import Callable, Iterable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.core import Compression
from compressjax.core._layout import Layout
from compressjax.numerics._explicit import with_whole_results
from compressjax.numerics._numerics import wide
from compressjax.numerics._placement import split
from compressjax.quant._equivalent import Reader, safe, scaled_inputs
from compressjax.quant._grid import Grid, block_shape, fit, make_grid, nearest

_EXPONENTS = np.arange(20, dtype=np.float32) / 20
_RATIOS = 1 - np.arange(10, dtype=np.float32) / 20


def awq(
    bits: int | str | Grid = 4,
    *,
    granularity: str | int | tuple[int, int] | None = None,
    symmetric: bool = True,
    activation: str | None = None,
    axis: int | tuple[int, ...] | None = None,
    order: tuple[int, ...] | None = None,
    fallback: str = "skip",
    clip: bool = True,
    shared: Iterable[Iterable[str]] = (),
) -> Compression:
    """Scales inputs by a power of their size, with the exponent of the least output error, and clips blocks by search.

    .. math:: s = \\bar x^r, \\quad \\bar x_j = \\sqrt{H_{jj} / n}, \\quad
        r = \\arg\\min_{r = 0, 1/20, ..., 19/20} \\mathrm{tr}(D^\\top H D), \\quad D = Q(s W) / s - W

    with the second moments `H` of the inputs, and `s` divided by `sqrt(max s min s)`. The mean magnitude of the paper
    is the root mean square here, which `observe` keeps. Then every block's range shrinks to the one of 10 ratios from 1
    to 0.55 with the least output error of the block alone. Exact zeros stay zero, also under a mask. Weights only; the
    node applies `1 / s` to the inputs, for any function, and `fold_scales` moves it into the layer before.

    Args:
        bits: As for `rtn`: the bits, the name of a format, or a ready `grid`.
        granularity: As for `grid`.
        symmetric: As for `grid`.
        activation: As for `grid`.
        axis: As for `grid`.
        order: As for `grid`.
        fallback: As for `grid`.
        clip: Whether ranges are searched.
        shared: As for `smooth_quant`; the exponent has the least sum of errors.

    Returns:
        Compression whose nodes are `Scaled(Quantized)`; pass `stats=` to `compress`. Without Gram matrices, `H` is its
        diagonal.

    Raises:
        ValueError: If a setting is out of range; from `encode`, if statistics or `shared` do not fit the leaves.

    Example:
        >>> from compressjax.core import compress
        >>> from compressjax.interpret import observe
        >>> params = {"kernel": jnp.array([[0.3], [1.0]])}
        >>> _, stats = observe(lambda p, x: x @ p["kernel"])(params, jnp.array([[90.0, 1.0], [-90.0, 1.0]]))
        >>> node = compress(params, {".*": awq(2)}, stats)["kernel"]
        >>> bool(abs(node.materialize()[0, 0] - 0.3) < 0.1)
        True

    Source: Lin et al., arXiv:2306.00978 (lin2023).
    """
    grid = make_grid("awq", bits, granularity, symmetric, axis, order, activation, None, fallback)

    def choose(readers: list[Reader]) -> jax.Array:
        found = [_whole(_losses, r, _size(r), grid) for r in readers]
        best = jnp.argmin(sum(found[1:], found[0]), axis=0)
        return _scales(_size(readers[0]), jnp.asarray(_EXPONENTS)[best][:, None])

    def ratio(reader: Reader, scale: jax.Array) -> jax.Array | None:
        if not clip:
            return None
        return _whole(_ratio, reader, scale, grid)

    return scaled_inputs(f"awq({grid})", grid, ("squares",), shared, choose, ratio)


def _whole(search: Callable[..., jax.Array], reader: Reader, by_input: jax.Array, grid: Grid) -> jax.Array:
    """A search under automatic sharding, whose result is whole on every device."""
    blocks = block_shape(reader.path, reader.kernel.shape, grid)

    def run(kernel: jax.Array, moments: jax.Array, by_input: jax.Array) -> jax.Array:
        return search(kernel, moments, by_input, reader.shaped, blocks, grid)

    return with_whole_results(run, reader.kernel)(reader.kernel, _moments(reader), by_input)


def _size(reader: Reader) -> jax.Array:
    """Root mean square of every input, `[layers, in]`."""
    count = jnp.maximum(reader.stats.count, 1)[..., None]
    return jnp.sqrt(reader.pooled(reader.stats.squares / count, jnp.mean))


def _moments(reader: Reader) -> jax.Array:
    """Second moments `[layers, in, in]`, or their diagonal `[layers, in]`."""
    gram = reader.stats.gram
    if gram is None:
        return reader.stats.squares.reshape(-1, reader.stats.squares.shape[-1])
    return gram.reshape(-1, *gram.shape[-2:])


def _scales(size: jax.Array, exponent: jax.Array) -> jax.Array:
    powers = safe(size**exponent, size > 0)
    return powers / jnp.sqrt(jnp.max(powers, axis=1, keepdims=True) * jnp.min(powers, axis=1, keepdims=True))


def _weighed(moments: jax.Array, wrong: jax.Array) -> jax.Array:
    """`H D` of `[layers, in, out]`."""
    if moments.ndim == wrong.ndim:
        return jnp.einsum("lij,ljo->lio", moments, wrong, precision=jax.lax.Precision.HIGHEST)
    return moments[..., None] * wrong


@partial(jax.jit, static_argnums=(3, 4, 5))
def _losses(
    x: jax.Array, moments: jax.Array, size: jax.Array, shaped: Layout, blocks: tuple[int, ...], grid: Grid
) -> jax.Array:
    """Output errors `[exponents, layers]`."""
    kernel = split(shaped.matrices(wide(x)), 2)

    def loss(exponent: jax.Array) -> jax.Array:
        scale = _scales(size, exponent)[..., None]
        scaled = shaped.leaf(kernel * scale, x.shape)
        wrong = shaped.matrices(nearest(scaled, *fit(scaled, blocks, grid), grid)) / scale - kernel
        return jnp.sum(wrong * _weighed(moments, wrong), axis=(1, 2))

    return jax.lax.map(loss, jnp.asarray(_EXPONENTS))


@partial(jax.jit, static_argnums=(3, 4, 5))
def _ratio(
    x: jax.Array, moments: jax.Array, scale: jax.Array, shaped: Layout, blocks: tuple[int, ...], grid: Grid
) -> jax.Array:
    """The clipping ratio of every block; inputs of other blocks count as exact."""
    kernel = split(shaped.matrices(wide(x)), 2)
    scaled = shaped.leaf(kernel * scale[..., None], x.shape)
    if moments.ndim == kernel.ndim:
        ids = _block_of_inputs(x.shape, shaped, blocks)
        moments = jnp.where(ids[:, None] == ids[None], moments, 0.0)
    tiles = [n for b, d in zip(blocks, x.shape) for n in (b, d // max(b, 1))]

    def error(ratio: jax.Array) -> jax.Array:
        found = nearest(scaled, *fit(scaled, blocks, grid, jnp.full((1,) * len(blocks), ratio)), grid)
        wrong = shaped.matrices(found) / scale[..., None] - kernel
        each = shaped.leaf(wrong * _weighed(moments, wrong), x.shape)
        return jnp.sum(each.reshape(tiles), axis=tuple(range(1, len(tiles), 2)))

    return jnp.asarray(_RATIOS)[jnp.argmin(jax.lax.map(error, jnp.asarray(_RATIOS)), axis=0)]


def _block_of_inputs(shape: tuple[int, ...], shaped: Layout, blocks: tuple[int, ...]) -> np.ndarray:
    """A number of the block of every input, `[in]`."""
    sizes, counts = ([n[a] for a in shaped.inputs] for n in (shape, blocks))
    places = np.indices(sizes).reshape(len(sizes), -1)
    return np.ravel_multi_index([p * c // n for p, c, n in zip(places, counts, sizes)], counts)
