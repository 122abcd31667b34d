"""Magnitude: large weights matter."""

import jax.numpy as jnp

from compressjax.saliency._contract import Saliency, on_leaves


def magnitude() -> Saliency:
    """Scores a weight by its size.

    .. math:: s = |w|

    Costs no data: the weights are read once, and the scores take their memory once more. Bytes and speed are those of
    the zeros that it chooses: see `one_shot`.

    Returns:
        Saliency of every value; it needs nothing.

    Example:
        >>> magnitude().score({"kernel": jnp.array([[3.0, -1.0]])})["kernel"].tolist()
        [[3.0, 1.0]]

    Source: Han et al., arXiv:1506.02626 (han2015).
    """
    return on_leaves("magnitude", lambda path, x: jnp.abs(x))
