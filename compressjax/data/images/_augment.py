"""Random views of images: shifted, flipped, with a part cut out."""

from typing import Any

import jax
import jax.numpy as jnp

from compressjax.core._settings import integers


def augment(key: jax.Array, images: jax.Array, *, shift: int = 4, flip: bool = True, cutout: int = 0) -> jax.Array:
    """Returns a random view of every image, to be shown to teacher and student alike.

    .. math:: x'_{ij} = x_{i + a,\\, \\pm(j + b)}, \\quad a, b \\in \\{-s, ..., s\\}

    with zeros beyond the border: the random crops of residual networks. A weak view for `pseudo_labels` shifts and
    flips, a strong one also cuts out a square.

    Args:
        key: Random key; one key gives one view, for whoever computes it.
        images: `[batch, height, width, channels]`, any type; standardize them before, so that 0 is the mean.
        shift: `s`, the largest shift in pixels, in [0, the smaller side].
        flip: Whether half of the images are mirrored left to right.
        cutout: Side of a square of zeros around a random pixel, cut off at the border; 0 for none.

    Returns:
        Of the shape and type of `images`.

    Raises:
        ValueError: If there are not four axes, or a setting is out of range.

    Example:
        >>> view = augment(jax.random.key(1), jnp.ones((2, 8, 8, 1)), shift=2)
        >>> view.shape, bool((view.sum(axis=(1, 2, 3)) >= 36).all())
        ((2, 8, 8, 1), True)

    Source: He et al., arXiv:1512.03385 (he2016); DeVries and Taylor, arXiv:1708.04552 (devries2017); one view for both,
        Beyer et al., arXiv:2106.05237 (beyer2022).
    """
    x = jnp.asarray(images)
    shift, cutout = integers("augment", shift=shift, cutout=cutout)
    if x.ndim != 4:
        raise ValueError(f"augment: images {x.shape} must be [batch, height, width, channels]")
    if not 0 <= shift <= min(x.shape[1:3]) or cutout < 0:
        raise ValueError(f"augment: shift={shift}, cutout={cutout} do not fit images of {x.shape[1:3]}; both are "
                         "pixels, from 0")  # fmt: skip

    def view(key: jax.Array, image: jax.Array) -> jax.Array:
        for_shift, for_flip, for_hole = jax.random.split(key, 3)
        wide = jnp.pad(image, ((shift, shift), (shift, shift), (0, 0)))
        first, second = jax.random.randint(for_shift, (2,), 0, 2 * shift + 1)
        image = jax.lax.dynamic_slice(wide, (first, second, jnp.zeros_like(first)), image.shape)
        if flip:
            image = jnp.where(jax.random.bernoulli(for_flip), image[:, ::-1], image)
        return _holed(for_hole, image, cutout) if cutout else image

    return jax.vmap(view)(jax.random.split(key, x.shape[0]), x)


def _holed(key: jax.Array, image: jax.Array, side: int) -> jax.Array:
    """The image with a square of zeros."""

    def outside(key: jax.Array, size: int) -> Any:
        first = jax.random.randint(key, (), 0, size) - side // 2
        places = jnp.arange(size)
        return (places < first) | (places >= first + side)

    a, b = jax.random.split(key)
    seen = outside(a, image.shape[0])[:, None] | outside(b, image.shape[1])[None, :]
    return jnp.where(seen[..., None], image, jnp.zeros((), image.dtype))
