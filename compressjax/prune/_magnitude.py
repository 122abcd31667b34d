"""One-shot magnitude pruning."""

from compressjax.core import Compression
from compressjax.prune._densities import Distribution
from compressjax.prune._gradual import scheduled
from compressjax.prune._one_shot import one_shot
from compressjax.prune._patterns import Pattern
from compressjax.prune._schedules import at_once
from compressjax.saliency import magnitude as size


def magnitude(
    sparsity: float | None = None,
    distribution: Distribution = "uniform",
    *,
    normalise: bool = False,
    pattern: str | Pattern = "unstructured",
) -> Compression:
    """Removes the smallest weights at once.

    .. math:: W \\leftarrow M \\odot W, \\qquad M_i = 1 \\text{ for the } (1 - s) N \\text{ largest } |W_i|

    The masks are those of the parameters given to `init`, and stay: training on with `as_optax` fine-tunes what is
    kept. Bytes fall with the number of kept weights; nothing runs faster by itself.

    Args:
        sparsity: Fraction of zeros, in [0, 1); left out where the pattern fixes it (N:M).
        distribution: As for `gradual`.
        normalise: As for `gradual`; of single weights only.
        pattern: What is removed together, see `as_pattern`; units count with their mean magnitude.

    Returns:
        Compression whose nodes are `Masked`; its state is a `GradualState`, or, with a pattern, a `OneShotState`.

    Raises:
        ValueError: As `gradual` and `one_shot`.

    Example:
        >>> import jax.numpy as jnp
        >>> from compressjax.core import compress
        >>> compress({"kernel": jnp.array([[3.0, -1.0]])}, {".*": magnitude(0.5)})["kernel"].mask.tolist()
        [[True, False]]

    Source: Han et al., arXiv:1506.02626 (han2015).
    """
    if pattern != "unstructured":
        if normalise:
            raise ValueError(f"normalise=True ranks single weights; leave it out with pattern={pattern!r}")
        named = one_shot(size(), sparsity, distribution, pattern)
        return named._replace(name=named.name.replace("one_shot(", "", 1)[:-1])
    if sparsity is None:
        raise ValueError("magnitude: sparsity is missing; give the fraction of zeros in [0, 1), or a pattern 'N:M'")
    return scheduled(f"magnitude(sparsity={sparsity})", at_once(sparsity), 1, distribution, normalise)
