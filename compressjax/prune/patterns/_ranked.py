"""Masks from scores, a pattern and traced counts."""

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from compressjax.core._unfit import each
from compressjax.numerics import with_auto_axes
from compressjax.numerics._counts import INT32, Count, difference, exact, rounded, running
from compressjax.numerics._top import top_along, top_mask, top_masks
from compressjax.prune.distributions._densities import ALL
from compressjax.prune.patterns._pattern import Pattern
from compressjax.prune.training._masking import Arrays


def ranked(scores: Arrays, kept: Mapping[str, Any], pattern: Pattern) -> Arrays:
    """Masks of the best whole units by mean score: the nearest number per leaf, or the best that fit `ALL`."""
    together = ALL in kept
    if pattern.single:
        return (
            top_masks(scores, kept[ALL])
            if together
            else {path: top_masks({path: x}, kept[path])[path] for path, x in scores.items()}
        )
    # Name all leaves that do not fit at once.
    each(f"pattern {pattern.name}", scores, lambda path: pattern.read(path, tuple(scores[path].shape)))
    if together:
        return with_auto_axes(lambda scores, budget: _pooled(scores, budget, pattern), scores)(scores, exact(kept[ALL]))

    def mask(path: str, x: jax.Array, entries: jax.Array) -> jax.Array:
        def count(groups: int, units: int, weights: int) -> Count:
            wanted = jnp.asarray(entries, jnp.float32) / float(groups * weights)
            return rounded(jnp.clip(wanted, float(weights > 1), float(units)))

        return best_units(pattern, path, x, count)

    return {path: with_auto_axes(partial(mask, path), x)(x, kept[path]) for path, x in scores.items()}


def best_units(
    pattern: Pattern, path: str, scores: jax.Array, count: Callable[[int, int, int], jax.Array | Count | int]
) -> jax.Array:
    """Mask of one leaf: in every group, the `count(groups, units, weights)` units with the largest mean score."""
    sizes, roles = pattern.read(path, tuple(scores.shape))
    kept = count(*(_sizes_of(role, sizes, roles) for role in "guw"))
    means = _means(scores, sizes, roles)
    best = top_along(means, kept, roles.index("u")) if "g" in roles else top_mask(means, kept)
    return jnp.broadcast_to(best, sizes).reshape(scores.shape)


def _means(scores: jax.Array, sizes: tuple[int, ...], roles: str) -> jax.Array:
    """Mean score of every unit, with size 1 on the axes of its weights."""
    axes = tuple(i for i, x in enumerate(roles) if x == "w")
    return jnp.mean(scores.reshape(sizes), axis=axes, keepdims=True) if axes else scores.reshape(sizes)


def _sizes_of(role: str, sizes: tuple[int, ...], roles: str) -> int:
    return math.prod(n for n, x in zip(sizes, roles, strict=True) if x == role)


def _pooled(scores: Arrays, budget: jax.Array | Count | int, pattern: Pattern) -> Arrays:
    """Keeps the best units of all leaves until the next one exceeds the budget, at least one."""
    read = {path: pattern.read(path, tuple(x.shape)) for path, x in scores.items()}
    grouped = sorted(path for path, (_, roles) in read.items() if "g" in roles)
    if grouped:
        raise ValueError(f"pattern {pattern.name} compares weights within groups of {grouped}; use 'uniform'")
    means = {path: _means(x, *read[path]) for path, x in scores.items()}
    if (units := sum(x.size for x in means.values())) >= INT32:
        raise ValueError(f"pattern {pattern.name} has {units} units in {list(means)[:8]}, but at most {INT32 - 1} are "
                         "ranked together; choose larger blocks, or a distribution that ranks each leaf")  # fmt: skip
    pool = jnp.concatenate([x.ravel() for x in means.values()])
    order = jnp.argsort(-pool, stable=True)
    # The weights of each unit, best first.
    sizes = [exact(_sizes_of("w", *read[path])) for path in means]
    which = jnp.concatenate([jnp.full(x.size, i, jnp.int32) for i, x in enumerate(means.values())])[order]
    weights = Count(*(jnp.stack(limb)[which] for limb in zip(*sizes, strict=True)))
    sums = running(weights, sum(x.size for x in scores.values()))
    fits = (difference(sums, budget) <= 0).at[0].set(True)
    kept = jnp.zeros(pool.shape, bool).at[order].set(fits)
    found, start = {}, 0
    for path, x in means.items():
        mine = kept[start : start + x.size].reshape(x.shape)
        found[path] = jnp.broadcast_to(mine, read[path][0]).reshape(scores[path].shape)
        start += x.size
    return found
