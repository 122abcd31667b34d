"""One-shot magnitude pruning."""

from compressjax.core import Compression
from compressjax.prune.patterns._checks import Distribution, check_pattern, own_sparsity
from compressjax.prune.patterns._pattern import Pattern
from compressjax.prune.schedules._schedule import at_once
from compressjax.prune.training._gradual import gradual


def magnitude(
    sparsity: float | None = None,
    distribution: Distribution = "uniform",
    *,
    normalize: bool = False,
    pattern: str | Pattern = "unstructured",
) -> Compression:
    """Removes the smallest weights at once.

    .. math:: W \\leftarrow M \\odot W, \\qquad M_i = 1 \\text{ for the } (1 - s) N \\text{ largest } |W_i|

    The masks are those of the parameters given to `init`, and stay: training on with `as_optax` fine-tunes what is
    kept. Bytes fall with the number of kept weights; nothing runs faster by itself.

    Args:
        sparsity: Fraction of zeros, in [0, 1); left out where the pattern fixes it (N:M).
        distribution: As for `gradual`.
        normalize: As for `gradual`.
        pattern: What is removed together, see `as_pattern`; units count with their mean magnitude.

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
    wanted = own_sparsity(sparsity, pattern)
    units = check_pattern(pattern, wanted, distribution, "magnitude")
    shown = "" if units.single else f", pattern={units.name}"
    method = gradual(at_once(wanted), every=1, distribution=distribution, normalize=normalize, pattern=units)
    return method._replace(name=f"magnitude(sparsity={wanted:g}{shown})")
