"""Gradual magnitude pruning: the sparsity grows during training."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.core import Compression
from compressjax.core._settings import as_int
from compressjax.numerics._counts import as_float, choose, entries, rounded
from compressjax.numerics._host import branch, on_host
from compressjax.prune.distributions._densities import check_removes, kept_counts
from compressjax.prune.patterns._checks import Distribution, check_pattern, own_sparsity
from compressjax.prune.patterns._pattern import Pattern
from compressjax.prune.patterns._ranked import ranked
from compressjax.prune.schedules._schedule import Schedule, polynomial
from compressjax.prune.training._masking import Arrays, masking, shapes_of, whole_masks


class GradualState(NamedTuple):
    """State of `gradual`: `count`, steps done, int32 scalar, and `masks`, `{path: bool array}`, True where kept."""

    count: jax.Array  # type: ignore[assignment]  # hides tuple.count, as optax's states do
    masks: Arrays


def gradual(
    sparsity: float | Schedule | None,
    *,
    begin: int = 0,
    end: int | None = None,
    every: int | None = None,
    initial: float = 0.0,
    distribution: Distribution = "uniform",
    power: float = 3,
    normalize: bool = False,
    pattern: str | Pattern = "unstructured",
) -> Compression:
    """Removes the smallest weights step by step while the rest train.

    .. math:: s_t = s_f + (s_i - s_f)(1 - \\tfrac{t - t_0}{t_1 - t_0})^3, \\qquad W_t = M_t \\odot W,

    `M_t` keeps exactly the `(1 - s_t) N` largest magnitudes and changes every `every` steps from `begin`, and at `end`.
    It only loses entries. Under a pattern, whole units are ranked by their mean magnitude; an N:M pattern goes from M
    of M to N of M. A masked weight gets no gradient and, through `as_optax`, never moves again, not even by momentum or
    weight decay. Saves bytes: at 90 % zeros positions cost 4.7 bits per kept weight (the entropy of the mask), so a
    float32 leaf becomes about 8.7 times smaller. No speed-up: dense products multiply zeros too.

    Args:
        sparsity: Final fraction of zeros, in [0, 1), or a schedule (`linear`, `exponential`, `iterative`, ...), which
            replaces `begin`, `end` and `initial`; None if the pattern fixes it (N:M).
        begin: Step of the first mask; before it nothing is masked.
        end: Step of the last mask, at least `begin`.
        every: Steps between masks, at least 1; if None, the schedule's own, or 100.
        initial: Fraction of zeros at `begin`, at most `sparsity`.
        distribution: `"uniform"`; `"global"`, one ranking over all leaves; `"erk"` (see `densities`); or
            `{pattern: sparsity}`.
        power: Exponent of the schedule.
        normalize: For `"global"`: divide magnitudes by the root mean square of each leaf's kept weights.
        pattern: See `as_pattern`.

    Returns:
        Compression with `Masked` nodes.

    Raises:
        ValueError: If a setting is out of range; from `init`, if a pattern matches no leaf or does not fit one.

    Example:
        >>> prune = gradual(0.5, end=1, every=1)
        >>> params = {"kernel": jnp.array([[3.0, -1.0], [2.0, -4.0]])}
        >>> params, state = prune.after_step(params, prune.init(params))
        >>> prune.view(params, state)["kernel"].tolist()
        [[3.0, 0.0], [0.0, -4.0]]

    Source: Zhu and Gupta, arXiv:1710.01878 (zhu2017); ERK: Evci et al., arXiv:1911.11134 (evci2020).
    """
    schedule = as_schedule("gradual", own_sparsity(sparsity, pattern), begin, end, initial, power)
    begin, last = schedule.begin, schedule.end
    steps = schedule.every or 100 if every is None else as_int("gradual", "every", every)
    units = check_pattern(pattern, schedule.sparsity, distribution, "gradual")
    _check(schedule, steps, distribution)

    # One small program outside of jit, where every operation on a step would be one.
    @functools.lru_cache(maxsize=8)
    def counting(shapes: tuple[tuple[str, tuple[int, ...]], ...]) -> Callable[[Any], dict[str, Any]]:
        return jax.jit(lambda step: counts_at(step, schedule, dict(shapes), distribution, units.single), inline=True)

    def masks_at(step: Any, flat: Arrays, masks: Arrays) -> Arrays:
        counts = counting(tuple(shapes_of(flat).items()))(step)
        return largest(flat, masks, counts, normalize, units)

    def init(flat: Arrays) -> GradualState:
        masks = whole_masks(flat)
        if begin == 0 and (schedule.initial > 0 or last == 0):
            masks = masks_at(0, flat, masks)
        else:
            jax.eval_shape(lambda: masks_at(0, flat, masks))  # refuses bad settings before training starts
        return GradualState(jnp.zeros((), jnp.int32), masks)

    def after_step(flat: Arrays, state: GradualState, stats: Any) -> tuple[Arrays, GradualState]:
        step, due = _next(state.count, begin, last, steps)
        masks = branch(due, lambda: masks_at(step, flat, state.masks), lambda: state.masks)
        return flat, GradualState(step, masks)

    name = f"gradual(sparsity={schedule.sparsity}, end={last})"
    return masking(name, init=init, after_step=after_step)


@functools.partial(jax.jit, static_argnums=(1, 2, 3), inline=True)
def _next(count: jax.Array, begin: int, last: int, every: int) -> tuple[jax.Array, jax.Array]:
    """The step after `count`, and whether masks change in it."""
    step = count + 1
    return step, (step >= begin) & (step <= last) & (((step - begin) % every == 0) | (step == last))


def as_schedule(who: str, sparsity: Any, begin: int, end: int | None, initial: float, power: float = 3) -> Schedule:
    """The schedule of a method's arguments."""
    if not isinstance(sparsity, Schedule):
        if end is None:
            raise ValueError(f"{who}: give end=, the step from which sparsity={sparsity} is reached, or a schedule")
        return polynomial(sparsity, begin=begin, end=end, initial=initial, power=power)
    if end is not None or begin or initial:
        raise ValueError(f"{who}: a schedule replaces begin, end and initial; leave them out")
    return sparsity


def counts_at(
    step: Any, schedule: Schedule, shapes: dict[str, tuple[int, ...]], distribution: Distribution, whole: bool = True
) -> dict[str, Any]:
    """Number of entries that every pool keeps after `step` steps, `begin` or later."""
    last = kept_counts(shapes, schedule.sparsity, distribution, whole=whole)
    check_removes(shapes, schedule.sparsity, last)
    # Patterns give final sparsities; every leaf starts at `initial`.
    everywhere = distribution if isinstance(distribution, str) else "uniform"
    first = kept_counts(shapes, schedule.initial, everywhere, whole=whole)
    progress, kept = schedule.progress(step), {}
    for pool, n in last.items():
        # Interpolate in float32; the final count is an exact integer.
        between = float(first[pool]) + float(n - first[pool]) * progress
        kept[pool] = choose(
            jnp.asarray(step) >= schedule.end, n, rounded(between) if isinstance(n, int) else between
        )  # fmt: skip
    return kept


def largest(flat: Arrays, masks: Arrays, kept: dict[str, Any], normalize: bool, pattern: Pattern) -> Arrays:
    """Masks of the largest magnitudes among the entries that are still kept."""
    return ranked({path: _scores(x, masks[path], normalize) for path, x in flat.items()}, kept, pattern)


def _scores(x: jax.Array, mask: jax.Array, normalize: bool) -> jax.Array:
    here, still = on_host(x), on_host(mask)
    if normalize or here is None or still is None:
        return _compiled_scores(x, mask, normalize)
    return jnp.asarray(np.where(still, np.abs(here).astype(np.float32), np.float32(-1.0)))


# Outside of jit, one program for all leaves of a shape.
@functools.partial(jax.jit, static_argnums=2, inline=True)
def _compiled_scores(x: jax.Array, mask: jax.Array, normalize: bool) -> jax.Array:
    scores = jnp.abs(x).astype(jnp.float32)
    scores = scores / _rms(scores, mask) if normalize else scores
    # Masked entries stay masked: every magnitude ranks above -1.
    return jnp.where(mask, scores, -1.0)


def _rms(x: jax.Array, mask: jax.Array) -> jax.Array:
    mean = jnp.sum(jnp.square(x.astype(jnp.float32)), where=mask) / jnp.maximum(as_float(entries([mask])), 1.0)
    return jnp.sqrt(jnp.where(mean > 0, mean, 1.0))


def _check(schedule: Schedule, every: int, distribution: Distribution) -> None:
    patterns = [] if isinstance(distribution, str) else list(distribution.values())
    lowest = min([schedule.sparsity, *patterns])
    if schedule.initial > lowest:
        raise ValueError(f"initial={schedule.initial} exceeds the final sparsity {lowest}; masks only lose entries")
    if not schedule.rises:
        raise ValueError(f"schedule {schedule.name!r} falls again, and masks only lose entries; use prune.movement")
    if every < 1:
        raise ValueError(f"every={every} must be at least 1")
