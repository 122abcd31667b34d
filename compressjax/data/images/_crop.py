"""Parts of images at a size."""

from typing import Any

import jax
import jax.numpy as jnp

from compressjax.core._settings import as_int, as_number


def random_resized_crop(
    key: jax.Array, images: Any, size: tuple[int, int], *, area: tuple[float, float] = (0.08, 1.0), ratio: float = 4 / 3
) -> jax.Array:  # fmt: skip
    """Cuts a random part out of every image, and scales it.

    .. math:: h = \\sqrt{a r H W}, \\quad w = \\sqrt{a H W / r}, \\quad a \\sim U(area), \\quad
        \\ln r \\sim U(-\\ln ratio, \\ln ratio)

    Sides that would be longer than the image are cut off. Random crops of full size with borders are `augment`.

    Args:
        key: Random key.
        images: `[n, height, width, channels]`, floating point.
        size: New height and width, at least 1.
        area: Range of the share of the image that is kept, in (0, 1].
        ratio: Largest ratio of the sides of the part, at least 1.

    Returns:
        `[n, *size, channels]`, of the same type.

    Raises:
        ValueError: If images are not floating point with four axes, or a setting is out of range.

    Example:
        >>> random_resized_crop(jax.random.key(0), jnp.ones((2, 8, 8, 1)), (4, 4)).shape
        (2, 4, 4, 1)

    Source: Szegedy et al., arXiv:1409.4842 (szegedy2015).
    """
    x, who = jnp.asarray(images), "random_resized_crop"
    if x.ndim != 4 or not jnp.issubdtype(x.dtype, jnp.floating):
        raise ValueError(f"{who}: images {x.dtype}{list(x.shape)} must be floats [n, height, width, channels]")
    low, high = (as_number(who, "area", share) for share in area)
    tall, wide = (as_int(who, "size", side) for side in size)
    if not 0 < low <= high <= 1 or not ratio >= 1 or min(tall, wide) < 1:
        raise ValueError(f"{who}: area={tuple(area)} must be ascending in (0, 1], ratio={ratio} at least 1, "
                         f"size={tuple(size)} at least 1")  # fmt: skip
    height, width, channels = x.shape[1:]

    def cropped(key: jax.Array, image: jax.Array) -> jax.Array:
        keys = jax.random.split(key, 3)
        share = jax.random.uniform(keys[0], minval=low, maxval=high)
        sides = jnp.exp(jax.random.uniform(keys[1], minval=-1.0, maxval=1.0) * jnp.log(ratio))
        part = jnp.stack([jnp.minimum(jnp.sqrt(share * sides * height * width), height),
                          jnp.minimum(jnp.sqrt(share / sides * height * width), width)])  # fmt: skip
        first = jax.random.uniform(keys[2], (2,)) * (jnp.array([height, width]) - part)
        scale = jnp.array([tall, wide]) / part
        return jax.image.scale_and_translate(image, (tall, wide, channels), (0, 1), scale, -first * scale, "linear")

    return jax.vmap(cropped)(jax.random.split(key, len(x)), x)
