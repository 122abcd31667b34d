"""From scores to masks, under a pattern and a budget."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from compressjax.core._checks import is_concrete
from compressjax.core._unfit import UnfitError
from compressjax.prune.distributions._densities import check_removes, kept_counts
from compressjax.prune.patterns._checks import Distribution, check_pattern, own_sparsity
from compressjax.prune.patterns._pattern import Pattern, as_pattern
from compressjax.prune.patterns._ranked import ranked
from compressjax.prune.training._masking import Arrays, shapes_of


def pattern_mask(
    scores: jax.Array, density: float | None = None, pattern: str | Pattern = "unstructured", *, path: str = "the leaf"
) -> jax.Array:
    """Returns the mask of one leaf: the same number of units with the largest mean score in every group.

    Args:
        scores: Array of the leaf's shape; higher means keep.
        density: Fraction of units to keep, in [0, 1]; None if the pattern fixes it. Units of several weights keep at
            least one per group.
        pattern: Name or pattern, see `as_pattern`.
        path: Path of the leaf, for messages.

    Returns:
        Bool array of the leaf's shape.

    Raises:
        ValueError: If the density is missing, out of range or not the pattern's, or the pattern does not fit the leaf.

    Example:
        >>> import jax.numpy as jnp
        >>> pattern_mask(jnp.array([[1.0, 2.0], [5.0, 1.0]]), 0.5, "neuron").tolist()
        [[True, False], [True, False]]
    """
    chosen = as_pattern(pattern)
    wanted = chosen.density if density is None else density
    if wanted is None or (chosen.density is not None and abs(wanted - chosen.density) > 1e-9):
        raise ValueError(
            f"density={density} of {path}: pattern {chosen.name} "
            + ("needs one" if chosen.density is None else f"itself keeps {chosen.density:g}; leave it out")
        )
    if not 0.0 <= wanted <= 1.0:
        raise ValueError(f"density={wanted} of {path} is outside [0, 1]: it is the fraction of units that is kept")

    entries = wanted * scores.size
    kept = round(entries) if chosen.single else entries
    return ranked({path: scores}, {path: kept}, chosen)[path]


def masks_of(
    scores: Arrays,
    sparsity: float | None,
    distribution: Distribution = "uniform",
    pattern: str | Pattern = "unstructured",
    final: bool = True,
) -> Arrays:
    """Returns the masks of several leaves.

    Args:
        scores: `{path: array of the leaf's shape}`.
        sparsity: Fraction of zeros over all leaves, in [0, 1); None if the pattern fixes it.
        distribution: As for `densities`, or `"global"`: units of all leaves are ranked together by their mean score and
            kept in this order until the next one exceeds the budget; at least one.
        pattern: Name or pattern.
        final: Whether the sparsity must remove something; False for the first of several rounds.

    Returns:
        `{path: bool array}`.

    Raises:
        ValueError: If a setting is out of range or rounds to no removed weight, a score is NaN, or the pattern does not
            fit a leaf or the distribution.

    Example:
        >>> import jax.numpy as jnp
        >>> scores = {"a": jnp.array([[1.0, 9.0]]), "b": jnp.array([[8.0, 2.0]])}
        >>> {path: mask.tolist() for path, mask in masks_of(scores, 0.5, "global").items()}
        {'a': [[False, True]], 'b': [[True, False]]}
    """
    chosen = check_pattern(pattern, sparsity, distribution)
    shapes, share = shapes_of(scores), own_sparsity(sparsity, chosen)
    counts = kept_counts(shapes, share, distribution, whole=chosen.single)
    if final:
        check_removes(shapes, share, counts)
    with jax.ensure_compile_time_eval():
        lost = [path for path, x in scores.items() if is_concrete(x) and bool(jnp.isnan(x).any())]
    if lost:
        raise ValueError(f"prune: scores of {lost[:8]} are NaN, which cannot be ranked; fix the weights or the loss")
    return ranked(scores, counts, chosen)


def scores_of(found: Mapping[str, Any], paths: tuple[str, ...], name: str) -> Arrays:
    """The scores of the selected leaves; raises if the saliency lacks one of them."""
    missing = [path for path in paths if path not in found]
    if missing:
        raise UnfitError(name, dict.fromkeys(missing, "the saliency has no scores of it"))
    return {path: found[path] for path in paths}
