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

    The masks follow from the parameters passed to `init` and stay fixed; training on with `as_optax` fine-tunes the
    kept weights. Saves bytes as `gradual`; no speed-up.

    Args:
        sparsity: Fraction of zeros, in [0, 1); None if the pattern fixes it (N:M).
        distribution: As for `gradual`.
        normalize: As for `gradual`.
        pattern: See `as_pattern`; units are ranked by their mean magnitude.

    Returns:
        Compression with `Masked` nodes and a `GradualState`.

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
