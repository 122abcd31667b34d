"""Images of another size."""

from typing import Any

import jax
import jax.numpy as jnp

from compressjax.core._settings import as_int

_METHODS = ("linear", "nearest", "cubic", "lanczos3")


def resize(images: Any, size: tuple[int, int], *, method: str = "linear") -> jax.Array:
    """Scales images to a height and a width.

    .. math:: y_i = \\sum_j k\\left( \\tfrac{(i + 1/2) s - (j + 1/2)}{\\max(s, 1)} \\right) x_j / \\sum_j k(\\cdot),
        \\quad s = \\text{old} / \\text{new}

    along both axes. Smaller images are averages, without aliasing.

    Args:
        images: `[n, height, width, channels]`, any type.
        size: New height and width, at least 1.
        method: "linear", "nearest", "cubic" or "lanczos3".

    Returns:
        `[n, *size, channels]`, of the same type; integers are rounded and cut off at their limits.

    Raises:
        ValueError: If there are not four axes, a size is below 1, or the method is unknown.

    Example:
        >>> resize(jnp.ones((1, 4, 4, 3)), (2, 2)).shape
        (1, 2, 2, 3)
    """
    x = jnp.asarray(images)
    height, width = (as_int("resize", "size", side) for side in size)
    if x.ndim != 4:
        raise ValueError(f"resize: images {x.shape} must be [n, height, width, channels]")
    if min(height, width) < 1 or method not in _METHODS:
        raise ValueError(f"resize: size={tuple(size)} must be at least 1, method={method!r} one of {_METHODS}")
    shape = (x.shape[0], height, width, x.shape[3])
    if jnp.issubdtype(x.dtype, jnp.floating):
        return jax.image.resize(x, shape, method)
    found = jnp.round(jax.image.resize(x.astype(jnp.float32), shape, method))
    limits = (0, 1) if x.dtype == bool else (jnp.iinfo(x.dtype).min, jnp.iinfo(x.dtype).max)
    return jnp.clip(found, *limits).astype(x.dtype)
