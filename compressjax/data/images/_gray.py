"""Brightness instead of color."""

from typing import Any

import jax
import jax.numpy as jnp

_WEIGHTS = (0.299, 0.587, 0.114)


def to_gray(images: Any) -> jax.Array:
    """Turns colors into brightness as television does (Rec. 601).

    .. math:: Y = 0.299\\, R + 0.587\\, G + 0.114\\, B

    Args:
        images: `[..., 3]` or `[..., 4]`, red, green and blue first, of any type; a fourth channel is left out.

    Returns:
        `[..., 1]`, of the same type; integers are rounded to the nearest.

    Raises:
        ValueError: If there are neither three nor four channels.

    Example:
        >>> to_gray(jnp.array([[255, 0, 0], [255, 255, 255]], jnp.uint8)).tolist()
        [[76], [255]]

    Source: ITU-R BT.601.
    """
    x = jnp.asarray(images)
    if not x.ndim or x.shape[-1] not in (3, 4):
        raise ValueError(f"to_gray: images {x.shape} must end in three channels (red, green, blue), or four")
    inner = x.dtype if jnp.issubdtype(x.dtype, jnp.floating) else jnp.float32
    gray = jnp.sum(
        x[..., :3].astype(inner) * jnp.asarray(_WEIGHTS, inner).reshape((1,) * (x.ndim - 1) + (3,)),
        axis=-1,
        keepdims=True,
    )
    return (gray if inner == x.dtype else jnp.round(gray)).astype(x.dtype)
