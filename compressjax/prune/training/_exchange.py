"""Exchanges of connections at a constant count, for SET and RigL."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp

from compressjax.core._settings import as_number, integers
from compressjax.core._unfit import UnfitError
from compressjax.numerics import with_auto_axes
from compressjax.numerics._counts import INT32
from compressjax.prune.patterns._checks import Distribution, check_distribution, check_pattern, check_sparsity
from compressjax.prune.patterns._pattern import Pattern, unstructured
from compressjax.prune.patterns._ranked import best_units
from compressjax.prune.training._masking import Arrays


def drop_fraction(step: jax.Array | int, alpha: float, end: int) -> jax.Array:
    """Fraction of the kept weights exchanged at a step, `alpha / 2 (1 + cos(pi t / T_end))`, and 0 from `T_end` on."""
    progress = jnp.clip(jnp.asarray(step, jnp.float32) / max(end, 1), 0.0, 1.0)
    return jnp.where(jnp.asarray(step) >= end, 0.0, alpha / 2 * (1 + jnp.cos(jnp.pi * progress)))


def exchange(
    weight: jax.Array,
    mask: jax.Array,
    growth: jax.Array,
    fraction: jax.Array,
    pattern: Pattern = unstructured(),  # noqa: B008  # a constant
    path: str = "the leaf",
) -> jax.Array:
    """The mask after exchanging the smallest kept weights for as many masked ones of the largest growth scores."""
    active = jnp.sum(mask)

    def moved(groups: int, units: int, weights: int) -> jax.Array:
        kept = active // (groups * weights)
        # Tolerate rounding: half of 10 is 5 even if the half is 0.49999997.
        wanted = jnp.floor(fraction * kept.astype(jnp.float32) + 1e-4).astype(jnp.int32)
        return jnp.minimum(wanted, units - kept)

    def left(groups: int, units: int, weights: int) -> jax.Array:
        return active // (groups * weights) - moved(groups, units, weights)

    size = jnp.nan_to_num(jnp.abs(weight).astype(jnp.float32), nan=0.0)
    score = jnp.where(jnp.isnan(growth), -1.0, growth.astype(jnp.float32))
    stay = best_units(pattern, path, jnp.where(mask, size, -1.0), left)
    return stay | best_units(pattern, path, jnp.where(mask, -jnp.inf, score), moved)


def due(step: jax.Array, every: int, end: int) -> jax.Array:
    """Whether an exchange is due: every `every` steps, before `end`."""
    return (step % every == 0) & (step < end) & (step > 1)  # the first step only applies the masks


def exchanged(
    flat: Arrays,
    masks: Arrays,
    growth: Callable[[str], jax.Array],
    share: Callable[[], jax.Array],
    when: jax.Array,
    pattern: Pattern = unstructured(),  # noqa: B008  # a constant
) -> Arrays:
    """The masks after `exchange` if one is due, otherwise the old masks."""

    def moved() -> Arrays:
        part, found = share(), {}
        for path, x in flat.items():
            move = functools.partial(exchange, pattern=pattern, path=path)
            found[path] = (move if pattern.single else with_auto_axes(move, x))(x, masks[path], growth(path), part)
        return found

    return jax.lax.cond(when, moved, lambda: masks)


def check_sizes(who: str, flat: Arrays) -> None:
    """Refuses leaves whose entries int32 does not count."""
    reasons = {
        path: f"it has {x.size} weights, and {who} counts at most {INT32 - 1} of one array; split it, by layers or rows"
        for path, x in flat.items()
        if x.size >= INT32
    }
    if reasons:
        raise UnfitError(who, reasons)


def check_exchange(
    who: str,
    sparsity: float,
    end: int,
    every: int,
    fraction: float,
    distribution: Distribution,
    pattern: str | Pattern = "unstructured",
) -> tuple[float, int, int, float, Pattern]:
    """The settings of an exchange, read; refuses what is out of range."""
    check_distribution(distribution, who, ranks=False)
    sparsity, fraction = check_sparsity(sparsity, f"{who}: sparsity"), as_number(who, "fraction", fraction)
    end, every = integers(who, end=end, every=every)
    if end < 0 or every < 1:
        raise ValueError(f"{who}: end={end} must be at least 0 and every={every} at least 1")
    if not 0.0 < fraction < 1.0:
        raise ValueError(f"{who}: fraction={fraction} of kept weights to exchange is outside (0, 1); 0.3 is usual")
    return sparsity, end, every, fraction, check_pattern(pattern, sparsity, distribution, who, fixed=False)
