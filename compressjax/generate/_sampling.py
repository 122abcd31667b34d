"""Paths through the space of noise, and sheets of pictures."""

import jax
import jax.numpy as jnp
import numpy as np


def interpolate(first: jax.Array, second: jax.Array, steps: int) -> jax.Array:
    """Returns points on the great circle from one point of noise to another.

    .. math:: z(t) = \\frac{\\sin((1 - t) \\omega)}{\\sin \\omega} z_0 + \\frac{\\sin(t \\omega)}{\\sin \\omega} z_1,
        \\quad \\cos \\omega = \\frac{z_0^\\top z_1}{\\|z_0\\| \\|z_1\\|}

    Gaussian noise lies near a sphere, so a straight line would pass where a generator has seen nothing.

    Args:
        first: `[..., latent]`.
        second: Of the same shape.
        steps: Points, both ends included; at least 2.

    Returns:
        `[steps, ..., latent]`.

    Raises:
        ValueError: If the shapes differ, or `steps` is below 2.

    Example:
        >>> jnp.round(100 * interpolate(jnp.array([1.0, 0.0]), jnp.array([0.0, 1.0]), 3)[1]).tolist()
        [71.0, 71.0]

    Source: White, arXiv:1609.04468 (white2016).
    """
    if first.shape != second.shape or steps < 2:
        raise ValueError(
            f"interpolate: shapes {first.shape} and {second.shape} must be equal, and steps={steps} at least 2"
        )
    cosine = jnp.sum(first * second, -1, keepdims=True) / jnp.maximum(
        jnp.linalg.norm(first, axis=-1, keepdims=True) * jnp.linalg.norm(second, axis=-1, keepdims=True), 1e-12
    )
    angle = jnp.arccos(jnp.clip(cosine, -1, 1))[None]
    t = jnp.linspace(0, 1, steps).reshape(steps, *[1] * first.ndim)
    near = jnp.sin(angle) < 1e-4  # parallel: the circle is a line
    divisor = jnp.where(near, 1.0, jnp.sin(angle))
    start = jnp.where(near, 1 - t, jnp.sin((1 - t) * angle) / divisor)
    return start * first[None] + jnp.where(near, t, jnp.sin(t * angle) / divisor) * second[None]


def sheet(images: jax.Array | np.ndarray, columns: int) -> np.ndarray:
    """Returns one picture with images side by side, for a report.

    Args:
        images: `[n, height, width, channels]` in [-1, 1].
        columns: Images in a row, at least 1; the last row may be white at its end.

    Returns:
        `[rows * height, columns * width, channels]`, uint8.

    Raises:
        ValueError: If the images have another number of axes, or `columns` is below 1.

    Example:
        >>> sheet(jnp.zeros((5, 4, 4, 1)), 3).shape
        (8, 12, 1)
    """
    found = np.asarray(images, np.float32)
    if found.ndim != 4 or columns < 1:
        raise ValueError(f"sheet: images {found.shape} must be [n, height, width, channels], and columns={columns} at "
                         "least 1")  # fmt: skip
    count, height, width, channels = found.shape
    rows = -(-count // columns)
    whole = np.ones((rows * columns, height, width, channels), np.float32)
    whole[:count] = found
    whole = whole.reshape(rows, columns, height, width, channels).transpose(0, 2, 1, 3, 4)
    bytes_ = np.clip(np.round((whole + 1) * 127.5), 0, 255).astype(np.uint8)
    return bytes_.reshape(rows * height, columns * width, channels)
