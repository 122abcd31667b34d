"""Magnitude of weights."""

import jax.numpy as jnp

from compressjax.saliency._contract import Saliency, on_leaves


def magnitude() -> Saliency:
    """Scores a weight by its magnitude.

    .. math:: s = |w|

    Returns:
        Saliency of every value.

    Example:
        >>> magnitude().score({"kernel": jnp.array([[3.0, -1.0]])})["kernel"].tolist()
        [[3.0, 1.0]]

    Source: Han et al., arXiv:1506.02626 (han2015).
    """
    return on_leaves("magnitude", lambda path, x: jnp.abs(x))
