"""One-shot magnitude pruning."""

from compressjax.core import Compression
from compressjax.prune._densities import Distribution
from compressjax.prune._gradual import scheduled


def magnitude(sparsity: float, distribution: Distribution = "uniform", *, normalise: bool = False) -> Compression:
    """Removes the smallest weights at once.

    .. math:: W \\leftarrow M \\odot W, \\qquad M_i = 1 \\text{ for the } (1 - s) N \\text{ largest } |W_i|

    The masks are those of the parameters given to `init`, and stay: training on with `as_optax` fine-tunes what is
    kept. Bytes fall with the number of kept weights; nothing runs faster by itself.

    Args:
        sparsity: Fraction of zeros, in [0, 1).
        distribution: As for `gradual`.
        normalise: As for `gradual`.

    Returns:
        Compression whose nodes are `Masked`; its state is a `GradualState`.

    Raises:
        ValueError: As `gradual`.

    Example:
        >>> import jax.numpy as jnp
        >>> from compressjax.core import compress
        >>> compress({"kernel": jnp.array([[3.0, -1.0]])}, {".*": magnitude(0.5)})["kernel"].mask.tolist()
        [[True, False]]

    Source: Han et al., arXiv:1506.02626 (han2015).
    """
    return scheduled(f"magnitude(sparsity={sparsity})", sparsity, 0, 0, 1, 0.0, distribution, 3, normalise)
