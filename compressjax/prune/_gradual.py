"""Gradual magnitude pruning: zeros grow during training."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from compressjax.core import Compression, on_values, top_mask, top_masks
from compressjax.prune._densities import Distribution, check_distribution, check_sparsity, kept_counts
from compressjax.prune._schedule import progress
from compressjax.tensors import Masked

Arrays = dict[str, jax.Array]


class GradualState(NamedTuple):
    """State of `gradual`.

    Attributes:
        count: Steps done, int32 scalar.
        masks: `{path: bool array}`, True where the weight is kept.
    """

    count: jax.Array  # type: ignore[assignment]  # hides tuple.count, as optax's states do
    masks: Arrays


def gradual(
    sparsity: float,
    *,
    begin: int = 0,
    end: int,
    every: int = 100,
    initial: float = 0.0,
    distribution: Distribution = "uniform",
    power: float = 3,
    normalise: bool = False,
) -> Compression:
    """Removes the smallest weights bit by bit while the others are trained.

    .. math:: s_t = s_f + (s_i - s_f)(1 - \\tfrac{t - t_0}{t_1 - t_0})^3, \\qquad W_t = M_t \\odot W,

    where `M_t` keeps exactly the `(1 - s_t) N` largest magnitudes. Masks are taken anew every `every` steps from
    `begin`, and at `end`; they only lose entries. A weight under a False mask gets no gradient and, through
    `as_optax`, never moves again, momentum and weight decay included.

    What it buys: bytes. At 90 % zeros, positions cost 4.7 bits a kept weight (the binary entropy of the mask), so a
    float32 leaf shrinks by about 8.7. By itself nothing runs faster: dense products multiply zeros too.

    Args:
        sparsity: Final fraction of zeros, in [0, 1).
        begin: Step of the first mask; before it nothing is masked.
        end: Step of the last mask, at least `begin`.
        every: Steps between masks, at least 1.
        initial: Fraction of zeros at `begin`, at most `sparsity`.
        distribution: `"uniform"`; `"global"`, one ranking over all leaves; `"erk"` (see `densities`); or
            `{pattern: sparsity}`.
        power: Exponent of the schedule.
        normalise: For `"global"`: rank magnitudes in units of the root mean square of each leaf's kept weights.

    Returns:
        Compression whose nodes are `Masked(W * M, M)`.

    Raises:
        ValueError: If a sparsity is outside [0, 1), `initial` exceeds `sparsity`, `end` is before `begin`, `every` is
            below 1, or the distribution is unknown; from `init`, if a pattern matches nothing.

    Example:
        >>> prune = gradual(0.5, end=1, every=1)
        >>> params = {"kernel": jnp.array([[3.0, -1.0], [2.0, -4.0]])}
        >>> state = prune.update(prune.init(params), params)
        >>> prune.view(params, state)["kernel"].tolist()
        [[3.0, 0.0], [0.0, -4.0]]

    Source: Zhu and Gupta, arXiv:1710.01878 (zhu2017); ERK: Evci et al., arXiv:1911.11134 (evci2020).
    """
    name = f"gradual(sparsity={sparsity}, end={end})"
    return scheduled(name, sparsity, begin, end, every, initial, distribution, power, normalise)


def scheduled(
    name: str,
    sparsity: float,
    begin: int,
    end: int,
    every: int,
    initial: float,
    distribution: Distribution,
    power: float,
    normalise: bool,
) -> Compression:
    """`gradual` under any name.

    Args:
        name: Written to manifests.
        sparsity: As for `gradual`, like all that follows.
        begin: First step.
        end: Last step.
        every: Steps between masks.
        initial: Fraction of zeros at `begin`.
        distribution: Name or patterns.
        power: Exponent.
        normalise: Whether a global ranking measures each leaf by its own size.

    Returns:
        Compression whose state is a `GradualState`.

    Raises:
        ValueError: As `gradual`.

    Example:
        >>> scheduled("mine", 0.5, 0, 1, 1, 0.0, "uniform", 3, False).name
        'mine'
    """
    _check(sparsity, begin, end, every, initial, distribution, power)

    def masks_at(step: Any, flat: Arrays, masks: Arrays) -> Arrays:
        shapes = {path: x.shape for path, x in flat.items()}
        last = kept_counts(shapes, sparsity, distribution)
        first = kept_counts(shapes, initial, _at(initial, distribution))
        way = progress(step, begin, end, power)
        # Interpolated in float32, which is exact enough on the way; the final count is an integer from the start.
        kept = {}
        for pool, n in last.items():
            between = jnp.round(first[pool] + (n - first[pool]) * way).astype(jnp.int32)
            kept[pool] = jnp.where(jnp.asarray(step) >= end, jnp.int32(n), between)
        return largest(flat, masks, kept, normalise)

    def init(flat: Arrays) -> GradualState:
        masks = {path: jnp.ones_like(x, bool) for path, x in flat.items()}
        if begin == 0 and (initial > 0 or end == 0):
            masks = masks_at(0, flat, masks)
        else:
            kept_counts({path: x.shape for path, x in flat.items()}, sparsity, distribution)
        return GradualState(jnp.zeros((), jnp.int32), masks)

    def update(state: GradualState, flat: Arrays, grads: Any, stats: Any) -> GradualState:
        del grads, stats
        step = state.count + 1
        due = (step >= begin) & (step <= end) & (((step - begin) % every == 0) | (step == end))
        masks = jax.lax.cond(due, lambda: masks_at(step, flat, state.masks), lambda: state.masks)
        return GradualState(step, masks)

    def zeroed(flat: Arrays, state: GradualState) -> Arrays:
        return apply_masks(flat, state.masks)

    return on_values(
        name,
        init=init,
        update=update,
        view=zeroed,
        encode=lambda flat, state: masked_nodes(flat, state.masks),
        constrain=zeroed,
    )


def largest(flat: Arrays, masks: Arrays, kept: dict[str, Any], normalise: bool) -> Arrays:
    """Masks of the largest magnitudes among the entries that are still kept.

    Args:
        flat: `{path: array}`.
        masks: Masks that the new ones are to lie within.
        kept: Counts by pool: one a path, or `{"": total}` for one ranking over all.
        normalise: Whether one ranking measures each leaf by its own root mean square.

    Returns:
        `{path: bool array}` with exactly the counts asked for.

    Example:
        >>> w = {"a": jnp.array([1.0, -2.0])}
        >>> largest(w, {"a": jnp.ones(2, bool)}, {"a": 1}, False)["a"].tolist()
        [False, True]
    """
    scores = {path: jnp.abs(x).astype(jnp.float32) for path, x in flat.items()}
    if normalise:
        scores = {path: x / _rms(x, masks[path]) for path, x in scores.items()}
    # Entries that are out stay out: every magnitude ranks above -1.
    scores = {path: jnp.where(masks[path], x, -1.0) for path, x in scores.items()}
    if "" not in kept or "" in flat:
        return {path: top_mask(x, kept[path]) for path, x in scores.items()}
    return top_masks(scores, kept[""])


def apply_masks(flat: Arrays, masks: Arrays) -> Arrays:
    """Sets what the masks leave out to zero; paths may be a part of the masks' paths.

    Args:
        flat: `{path: array}`.
        masks: `{path: bool array}`.

    Returns:
        `{path: array}`.

    Example:
        >>> apply_masks({"a": jnp.ones(2)}, {"a": jnp.array([True, False])})["a"].tolist()
        [1.0, 0.0]
    """
    # where, not a product: -1 * 0 is -0, and inf * 0 is nan.
    return {path: jnp.where(masks[path], x, jnp.zeros((), x.dtype)) for path, x in flat.items()}


def masked_nodes(flat: Arrays, masks: Arrays) -> dict[str, Masked]:
    """The nodes of masked leaves.

    Args:
        flat: `{path: array}`.
        masks: `{path: bool array}`.

    Returns:
        `{path: Masked}`.

    Example:
        >>> masked_nodes({"a": jnp.ones(2)}, {"a": jnp.array([True, False])})["a"].size_bits()
        34
    """
    return {path: Masked(x, masks[path]) for path, x in apply_masks(flat, masks).items()}


def _rms(x: jax.Array, mask: jax.Array) -> jax.Array:
    mean = jnp.sum(jnp.square(x.astype(jnp.float32)), where=mask) / jnp.maximum(jnp.sum(mask), 1).astype(jnp.float32)
    return jnp.sqrt(jnp.where(mean > 0, mean, 1.0))


def _at(initial: float, distribution: Distribution) -> Distribution:
    """The distribution at `begin`: patterns give final sparsities, so every leaf starts from `initial` alike."""
    return distribution if isinstance(distribution, str) else "uniform"


def _check(
    sparsity: float, begin: int, end: int, every: int, initial: float, distribution: Distribution, power: float
) -> None:
    check_sparsity(sparsity, "sparsity")
    check_sparsity(initial, "initial")
    check_distribution(distribution)
    progress(0, begin, end, power)
    lowest = sparsity if isinstance(distribution, str) else min(sparsity, *distribution.values())
    if initial > lowest:
        raise ValueError(f"initial={initial} exceeds the final sparsity {lowest}; masks only lose entries")
    if begin < 0 or every < 1:
        raise ValueError(f"begin={begin} must be at least 0 and every={every} at least 1")
