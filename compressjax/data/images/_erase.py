"""Images with a rectangle left out."""

from typing import Any

import jax
import jax.numpy as jnp

from compressjax.core._settings import as_number


def random_erasing(
    key: jax.Array, images: Any, *, probability: float = 0.5, area: tuple[float, float] = (0.02, 0.33),
    ratio: float = 3.3, fill: float = 0.0,
) -> jax.Array:  # fmt: skip
    """Fills a random rectangle of some images.

    .. math:: h = \\sqrt{a r H W}, \\quad w = \\sqrt{a H W / r}, \\quad a \\sim U(area), \\quad
        \\ln r \\sim U(-\\ln ratio, \\ln ratio)

    Sides that would be longer than the image are cut off.

    Args:
        key: Random key.
        images: `[n, height, width, channels]`, any type.
        probability: Share of images with a rectangle, in [0, 1].
        area: Range of the share of the image that it covers, in (0, 1].
        ratio: Largest ratio of its sides, at least 1.
        fill: Value in the rectangle.

    Returns:
        Of the shape and type of `images`.

    Raises:
        ValueError: If there are not four axes, or a setting is out of range.

    Example:
        >>> view = random_erasing(
        ...     jax.random.key(0), jnp.ones((2, 8, 8, 1)), probability=1.0, area=(0.25, 0.25), ratio=1.0
        ... )
        >>> view.sum(axis=(1, 2, 3)).tolist()
        [48.0, 48.0]

    Source: Zhong et al., arXiv:1708.04896 (zhong2020).
    """
    x, who = jnp.asarray(images), "random_erasing"
    if x.ndim != 4:
        raise ValueError(f"{who}: images {x.shape} must be [n, height, width, channels]")
    low, high = (as_number(who, "area", share) for share in area)
    if not 0 <= as_number(who, "probability", probability) <= 1 or not 0 < low <= high <= 1 or not ratio >= 1:
        raise ValueError(f"{who}: probability={probability} must be in [0, 1], area={tuple(area)} ascending in (0, 1], "
                         f"ratio={ratio} at least 1")  # fmt: skip
    height, width = x.shape[1:3]

    def erased(key: jax.Array, image: jax.Array) -> jax.Array:
        keys = jax.random.split(key, 5)
        share = jax.random.uniform(keys[0], minval=low, maxval=high)
        sides = jnp.exp(jax.random.uniform(keys[1], minval=-1.0, maxval=1.0) * jnp.log(ratio))
        tall = jnp.clip(jnp.round(jnp.sqrt(share * sides * height * width)), 1, height)
        wide = jnp.clip(jnp.round(jnp.sqrt(share / sides * height * width)), 1, width)
        top = jnp.floor(jax.random.uniform(keys[2]) * (height - tall + 1))
        left = jnp.floor(jax.random.uniform(keys[3]) * (width - wide + 1))
        rows, columns = jnp.arange(height), jnp.arange(width)
        inside = ((rows >= top) & (rows < top + tall))[:, None] & ((columns >= left) & (columns < left + wide))[None]
        inside &= jax.random.bernoulli(keys[4], probability)
        return jnp.where(inside[..., None], jnp.asarray(fill, image.dtype), image)

    return jax.vmap(erased)(jax.random.split(key, len(x)), x)
