"""Convolutional sparse coding: images as sums of few small filters at any place."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from compressjax.core._settings import as_number, integers

_HIGH = jax.lax.Precision.HIGHEST


class Filters(NamedTuple):
    """Sparse maps of images under filters of length at most 1.

    Attributes:
        filters: `[k, size, size]`.
        penalty: Of the absolute values of the maps.
    """

    filters: jax.Array
    penalty: jax.Array

    def transform(self, x: Any) -> jax.Array:
        """Maps `[n, height - size + 1, width - size + 1, k]` of images `[n, height, width]`."""
        return _coded(jnp.asarray(x, jnp.float32), self.filters, self.penalty, 200)

    def inverse_transform(self, z: Any) -> jax.Array:
        """The sums of filters."""
        return _drawn(jnp.asarray(z), self.filters)


def convolutional_dictionary(
    x: Any, filters: int, size: int, key: jax.Array, *, penalty: float = 0.1, steps: int = 20, inner: int = 30
) -> Filters:
    """Learns filters from images in memory, whose sparse sums are the images.

    .. math:: \\min_{z, f} \\tfrac12 \\sum_i \\Big\\|x_i - \\sum_k f_k * z_{ik}\\Big\\|^2 + \\lambda \\|z\\|_1, \\quad
        \\|f_k\\| \\le 1

    Maps by FISTA, whose step follows from the Fourier transform of the filters; then the filters by the same with a
    projection. One filter serves all places, so there are few weights.

    Args:
        x: `[n, height, width]`, finite.
        filters: Their number `k`, at least 1.
        size: Height and width of a filter, at least 1 and at most those of the images.
        key: Random key of the start.
        penalty: `lambda`, above 0.
        steps: Of both, at least 1.
        inner: Steps of FISTA within each, at least 1.

    Returns:
        `Filters`.

    Raises:
        ValueError: If a number is out of range, `x` is no stack of images, or a value is not finite.

    Example:
        >>> x = jnp.zeros((2, 6, 6)).at[0, 1:3, 1:3].set(1.0).at[1, 3:5, 2:4].set(1.0)
        >>> found = convolutional_dictionary(x, 1, 2, jax.random.key(0), penalty=0.01)
        >>> bool(jnp.abs(found.inverse_transform(found.transform(x)) - x).max() < 0.1)
        True

    Source: Bristow et al., CVPR 2013; Wohlberg, IEEE Transactions on Image Processing, 2016.
    """
    k, width, times, most = integers("convolutional_dictionary", filters=filters, size=size, steps=steps, inner=inner)
    images = jnp.asarray(x, jnp.float32)
    if images.ndim != 3 or not 1 <= width <= min(images.shape[1:]):
        raise ValueError(f"convolutional_dictionary: x of shape {images.shape} must be [n, height, width], at least "
                         f"size={width}")  # fmt: skip
    if min(k, times, most) < 1 or as_number("convolutional_dictionary", "penalty", penalty) <= 0:
        raise ValueError(f"convolutional_dictionary: filters={k}, steps={times} and inner={most} must be at least 1, "
                         f"penalty={penalty} above 0")  # fmt: skip
    if not bool(jnp.isfinite(images).all()):
        place = tuple(int(i[0]) for i in jnp.nonzero(~jnp.isfinite(images), size=1))
        raise ValueError(f"convolutional_dictionary: image {place[0]}, row {place[1]}, column {place[2]} is "
                         f"{images[place]}")  # fmt: skip
    first = _projected(jax.random.normal(key, (k, width, width)), grow=True)
    return Filters(_learned(images, first, float(penalty), times, most), jnp.float32(penalty))


def _projected(filters: jax.Array, grow: bool = False) -> jax.Array:
    length = jnp.sqrt(jnp.sum(filters**2, axis=(1, 2), keepdims=True))
    return filters / jnp.maximum(length, 1e-12 if grow else 1)


def _drawn(maps: jax.Array, filters: jax.Array) -> jax.Array:
    """Full convolutions of maps with filters, added up."""
    size = filters.shape[1]
    kernel = jnp.transpose(filters[:, ::-1, ::-1], (1, 2, 0))[..., None]
    pad = (size - 1, size - 1)
    numbers = ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(maps, kernel, (1, 1), (pad, pad), dimension_numbers=numbers, precision=_HIGH)[
        ..., 0
    ]


def _accelerated(at: Any, start: jax.Array, steps: Any) -> jax.Array:
    """FISTA with the proximal gradient step `at`."""

    def step(_: Any, state: Any) -> Any:
        last, ahead, t = state
        new, following = at(ahead), (1 + jnp.sqrt(1 + 4 * t**2)) / 2
        return new, new + (t - 1) / following * (new - last), following

    found: jax.Array = jax.lax.fori_loop(0, steps, step, (start, start, jnp.ones(())))[0]
    return found


@jax.jit
def _coded(x: jax.Array, filters: jax.Array, penalty: Any, steps: Any, start: jax.Array | None = None) -> jax.Array:
    # A convolution that fits into the image is part of a circular one, whose norm is that of its transform.
    slope = jnp.max(jnp.sum(jnp.abs(jnp.fft.fft2(filters, x.shape[1:])) ** 2, axis=0))
    kept = x.shape[1] - filters.shape[1] + 1, x.shape[2] - filters.shape[2] + 1
    zero = jnp.zeros((len(x), *kept, len(filters))) if start is None else start
    draw = functools.partial(_drawn, filters=filters)

    def at(maps: jax.Array) -> jax.Array:
        found, back = jax.vjp(draw, maps)
        moved = maps - back(found - x)[0] / slope
        return jnp.sign(moved) * jnp.maximum(jnp.abs(moved) - penalty / slope, 0)

    return _accelerated(at, zero, steps)


@jax.jit
def _learned(x: jax.Array, first: jax.Array, penalty: Any, steps: Any, inner: Any) -> jax.Array:
    def step(_: Any, state: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        filters, maps = state
        maps = _coded(x, filters, penalty, inner, maps)
        draw = functools.partial(_drawn, maps)
        back = jax.linear_transpose(draw, filters)

        def turn(_: Any, v: jax.Array) -> jax.Array:
            return back(draw(v / jnp.maximum(jnp.linalg.norm(v), 1e-30)))[0]

        slope = 1.1 * jnp.maximum(jnp.linalg.norm(jax.lax.fori_loop(0, 15, turn, jnp.ones_like(filters))), 1e-30)
        return _accelerated(lambda f: _projected(f - back(draw(f) - x)[0] / slope), filters, inner), maps

    kept = x.shape[1] - first.shape[1] + 1, x.shape[2] - first.shape[2] + 1
    return jax.lax.fori_loop(0, steps, step, (first, jnp.zeros((len(x), *kept, len(first)))))[0]
