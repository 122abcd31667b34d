"""The inputs of a convolution as rows: the patches that are multiplied with the kernel."""

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

# Images are taken together until their patches hold this many entries: few passes, in bounded memory.
_ENTRIES = 2**22


def in_chunks(x: jax.Array, kernel: Sequence[int], params: dict[str, Any]) -> jax.Array:
    """`[chunks, images, *spatial, groups, in]`: chunks of the same number of images."""
    numbers, groups = params["dimension_numbers"], params["feature_group_count"]
    images = jnp.transpose(x, (numbers.lhs_spec[0], *numbers.lhs_spec[2:], numbers.lhs_spec[1]))
    images = images.reshape(*images.shape[:-1], groups, images.shape[-1] // groups)
    each = math.prod(images.shape[1:]) * math.prod(kernel[a] for a in numbers.rhs_spec[2:])
    most = max(1, min(len(images), _ENTRIES // max(each, 1)))
    count = next(n for n in range(most, 0, -1) if len(images) % n == 0)
    return images.reshape(-1 if len(images) else 1, count if len(images) else 0, *images.shape[1:])


def patches(images: jax.Array, kernel: Sequence[int], params: dict[str, Any], summed: Sequence[int]) -> jax.Array:
    """The patches of some images, `[n, *summed axes of the kernel]`.

    The groups of a grouped convolution are rows too: the kernel's input axis is that of one group.
    """
    numbers = params["dimension_numbers"]
    rows = _rows(images, [kernel[a] for a in numbers.rhs_spec[2:]], params)
    spec = [*numbers.rhs_spec[2:], numbers.rhs_spec[1]]
    return jnp.transpose(rows, (0, *(1 + spec.index(a) for a in summed)))


def _rows(images: jax.Array, window: Sequence[int], params: dict[str, Any]) -> jax.Array:
    """`[n, *window, in]` from `[images, *spatial, groups, in]`."""
    strides, dilation = params["window_strides"], params["rhs_dilation"]
    low = [(0, 0, 0), *((lo, hi, d - 1) for (lo, hi), d in zip(params["padding"], params["lhs_dilation"])), (0, 0, 0),
           (0, 0, 0)]  # fmt: skip
    padded = jax.lax.pad(images, np.zeros((), images.dtype), low)
    reach = [(k - 1) * d + 1 for k, d in zip(window, dilation)]
    out = [max(0, (n - r) // s + 1) for n, r, s in zip(padded.shape[1:-2], reach, strides)]
    taken = []
    for offset in np.ndindex(*window):
        start = [o * d for o, d in zip(offset, dilation)]
        stop = [a + (n - 1) * s + 1 if n else a for a, n, s in zip(start, out, strides)]
        taken.append(
            jax.lax.slice(padded, (0, *start, 0, 0), (len(images), *stop, *padded.shape[-2:]), (1, *strides, 1, 1))
        )
    rows = jnp.stack(taken, axis=-2)
    return rows.reshape(-1, *window, images.shape[-1])
