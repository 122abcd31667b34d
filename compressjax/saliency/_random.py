"""Random scores, as a baseline."""

import zlib

import jax

from compressjax.saliency._contract import Saliency, on_leaves


def random(key: jax.Array) -> Saliency:
    """Scores weights at random.

    .. math:: s \\sim U(0, 1)

    Args:
        key: PRNG key; each leaf folds in its path.

    Returns:
        Saliency of every value.

    Example:
        >>> import jax.numpy as jnp
        >>> random(jax.random.key(0)).score({"kernel": jnp.ones((2, 3))})["kernel"].shape
        (2, 3)

    Source: the baseline of Lee et al., arXiv:1810.02340 (lee2019).
    """

    def score(path: str, x: jax.Array) -> jax.Array:
        return jax.random.uniform(jax.random.fold_in(key, zlib.crc32(path.encode())), x.shape, x.dtype)

    return on_leaves("random", score)
