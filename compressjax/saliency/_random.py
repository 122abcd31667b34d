"""Random scores: the control that every saliency is to beat."""

import zlib

import jax

from compressjax.saliency._contract import Saliency, on_leaves


def random(key: jax.Array) -> Saliency:
    """Scores weights by chance.

    .. math:: s \\sim U(0, 1)

    Each leaf draws with a key of its own, folded from its path, so that a leaf's scores do not depend on the others.

    Costs no data, and one random number a weight. Bytes and speed are those of the zeros that it chooses: see
    `one_shot`.

    Args:
        key: PRNG key.

    Returns:
        Saliency of every value.

    Example:
        >>> import jax.numpy as jnp
        >>> random(jax.random.key(0)).score({"kernel": jnp.ones((2, 3))})["kernel"].shape
        (2, 3)

    Source: the control of Lee et al., arXiv:1810.02340 (lee2019).
    """

    def score(path: str, x: jax.Array) -> jax.Array:
        return jax.random.uniform(jax.random.fold_in(key, zlib.crc32(path.encode())), x.shape, x.dtype)

    return on_leaves("random", score)
