"""The inputs of a convolution as rows: the patches that are multiplied with the kernel."""

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.interpret.observing._statistics import Statistics, outer_products, refuse_empty
from compressjax.numerics._histogram import count_magnitudes

# Images are taken together until their patches hold this many entries: few passes, in bounded memory.
_ENTRIES = 2**21


def of_patches(
    path: str,
    x: jax.Array,
    kernel: Sequence[int],
    params: dict[str, Any],
    summed: Sequence[int],
    *,
    gram: bool,
    histogram: bool = False,
) -> Statistics:
    """Statistics of the patches that a convolution multiplies with its kernel, over the `summed` axes of the kernel."""
    # Large arrays keep their shape: XLA would compute an activation once more for every shape that reads it.
    along = params["dimension_numbers"].lhs_spec[0]

    def rows(images: jax.Array) -> jax.Array:
        taken = patches(images.astype(jnp.float32), kernel, params, summed)
        return taken.reshape(taken.shape[0], math.prod(taken.shape[1:]))

    shape = jax.eval_shape(rows, x).shape
    refuse_empty(path, shape)
    size = _chunk(x.shape[along], math.prod(shape))

    def add(i: jax.Array, total: jax.Array) -> jax.Array:
        return total + outer_products(rows(jax.lax.dynamic_slice_in_dim(x, i * size, size, along)))

    # A sum over patches is a sum over the positions of a window in the sum of all images, which takes one pass over the
    # images instead of one for every offset in the window.
    total, squares, largest = (rows(jnp.expand_dims(image, along)) for image in _over_images(x, along))
    # One chunk's patches at a time, so that memory is bounded.
    products = jax.lax.fori_loop(0, x.shape[along] // size, add, jnp.zeros(2 * shape[1:])) if gram else None
    return Statistics(
        count=jnp.full((), shape[0], jnp.float32),
        total=jnp.sum(total, axis=0),
        squares=jnp.sum(squares, axis=0),
        gram=products,
        largest=jnp.max(largest, axis=0),
        histogram=count_magnitudes(x) if histogram else None,
    )


def _over_images(x: jax.Array, along: int) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The sum, the sum of squares and the largest magnitude over one axis, in one pass."""
    wide, zero = x.astype(jnp.float32), np.zeros((), np.float32)

    def both(a: Any, b: Any) -> Any:
        return a[0] + b[0], a[1] + b[1], jnp.maximum(a[2], b[2])

    # Three reductions over the first axis take XLA's CPU backend fifty times as long.
    return jax.lax.reduce((wide, wide * wide, jnp.abs(wide)), (zero, zero, zero), both, (along,))


def _chunk(images: int, entries: int) -> int:
    """The number of images, a divisor of all, whose patches are taken together."""
    most = max(1, min(images, _ENTRIES * images // max(entries, 1)))
    return next(n for n in range(most, 0, -1) if images % n == 0)


def patches(x: jax.Array, kernel: Sequence[int], params: dict[str, Any], summed: Sequence[int]) -> jax.Array:
    """The patches of the inputs of a convolution, `[n, *summed axes of the kernel]`.

    The groups of a grouped convolution are rows too: the kernel's input axis is that of one group.
    """
    numbers, groups = params["dimension_numbers"], params["feature_group_count"]
    images = jnp.transpose(x, (numbers.lhs_spec[0], *numbers.lhs_spec[2:], numbers.lhs_spec[1]))
    images = images.reshape(*images.shape[:-1], groups, images.shape[-1] // groups)
    rows = _rows(images, [kernel[a] for a in numbers.rhs_spec[2:]], params)
    spec = [*numbers.rhs_spec[2:], numbers.rhs_spec[1]]
    return jnp.transpose(rows, (0, *(1 + spec.index(a) for a in summed)))


def _rows(images: jax.Array, window: Sequence[int], params: dict[str, Any]) -> jax.Array:
    """`[n, *window, in]` from `[images, *spatial, groups, in]`."""
    strides, dilation = params["window_strides"], params["rhs_dilation"]
    low = [(0, 0, 0), *((lo, hi, d - 1) for (lo, hi), d in zip(params["padding"], params["lhs_dilation"])), (0, 0, 0),
           (0, 0, 0)]  # fmt: skip
    rows = jax.lax.pad(images, np.zeros((), images.dtype), low)
    # One gather an axis, which makes two axes of it, compiles ten times faster than a slice per offset of the window.
    for axis, (size, step, stride) in enumerate(zip(window, dilation, strides)):
        place = 1 + 2 * axis
        count = max(0, (rows.shape[place] - (size - 1) * step - 1) // stride + 1)
        if size == 1:
            stop = (count - 1) * stride + 1 if count else 0
            rows = jnp.expand_dims(jax.lax.slice_in_dim(rows, 0, stop, stride, place), place + 1)
            continue
        offsets = np.arange(count)[:, None] * stride + np.arange(size) * step
        rows = jnp.take(rows, offsets, axis=place, mode="clip")
    spatial = len(window)
    outputs, inside = (range(start, start + 2 * spatial, 2) for start in (1, 2))
    ordered = jnp.transpose(rows, (0, *outputs, 2 * spatial + 1, *inside, 2 * spatial + 2))
    return ordered.reshape(-1, *window, images.shape[-1])
