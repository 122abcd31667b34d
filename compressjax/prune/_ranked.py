"""Masks by counts that a schedule gives, under a pattern: what methods that rank again and again share."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp

from compressjax.core import automatic, top_mask, top_masks, top_rows
from compressjax.prune._densities import Distribution
from compressjax.prune._masking import Arrays
from compressjax.prune._masks import expand, pooled
from compressjax.prune._patterns import Pattern, as_pattern


def ranked(scores: Arrays, kept: Mapping[str, jax.Array | int], pattern: Pattern) -> Arrays:
    """Masks of the units with the largest mean scores.

    Args:
        scores: `{path: array}`; higher means keep.
        kept: Entries that every pool keeps, traced or not: one count a path, or `{"": total}` for one ranking over all.
            Units are whole, so of a leaf the nearest number of them stays, at least one of several weights each; of one
            ranking over all, as many as fit.
        pattern: The pattern.

    Returns:
        `{path: bool array}`.

    Example:
        >>> scores = {"a": jnp.array([[1.0, 4.0, 2.0], [2.0, 0.0, 3.0]])}
        >>> ranked(scores, {"a": jnp.int32(4)}, as_pattern("neuron"))["a"].tolist()
        [[False, True, True], [False, True, True]]
    """
    together = "" in kept and "" not in scores
    if pattern.name == "unstructured":
        return (
            top_masks(scores, kept[""]) if together else {path: top_mask(x, kept[path]) for path, x in scores.items()}
        )
    if together:
        return automatic(lambda scores, budget: pooled(scores, budget, pattern), scores)(scores, kept[""])

    def units(path: str, x: jax.Array, entries: jax.Array) -> jax.Array:
        parts = pattern.split(path, x)
        groups, length, weights = parts.shape
        least = 1 if weights > 1 else 0
        count = jnp.round(jnp.asarray(entries, jnp.float32) / (groups * weights)).astype(jnp.int32)
        count = jnp.clip(count, least, length)
        return expand(pattern, path, x.shape, top_rows(jnp.mean(parts, axis=2), count), weights)

    return {path: automatic(lambda x, n, path=path: units(path, x, n), x)(x, kept[path]) for path, x in scores.items()}


def check_pattern(who: str, pattern: str | Pattern, sparsity: float, distribution: Distribution) -> Pattern:
    """The pattern of a method that reaches a sparsity.

    Args:
        who: Name of the method.
        pattern: Name or pattern.
        sparsity: Its final fraction of zeros.
        distribution: How they are shared out.

    Returns:
        The pattern.

    Raises:
        ValueError: If the pattern itself fixes another sparsity, or removes nothing under the distribution.

    Example:
        >>> check_pattern("gradual", "2:4", 0.5, "uniform").name
        '2:4'
    """
    chosen = as_pattern(pattern)
    if chosen.density is not None and (distribution != "uniform" or abs(1 - chosen.density - sparsity) > 1e-9):
        raise ValueError(
            f"{who}: pattern {chosen.name} leaves {1 - chosen.density:g} of every leaf zero, but sparsity={sparsity} "
            f"and distribution={distribution!r} were given; ask for that sparsity, uniformly"
        )
    if chosen.name == "layer" and distribution != "global":
        raise ValueError(
            f"{who}: pattern layer removes whole leaves; under distribution={distribution!r} each keeps itself, so "
            'let them compete under distribution="global"'
        )
    return chosen
