"""AC/DC: training alternates between sparse and dense phases."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from compressjax.core import Compression, zero_masked
from compressjax.core._settings import integers
from compressjax.prune.distributions._densities import kept_counts
from compressjax.prune.patterns._checks import Distribution, check_pattern, own_sparsity
from compressjax.prune.patterns._pattern import Pattern
from compressjax.prune.training._gradual import GradualState, largest
from compressjax.prune.training._masking import Arrays, count_and_zero, masking, shapes_of, whole_masks


def acdc(
    sparsity: float | None,
    *,
    begin: int,
    every: int,
    end: int,
    distribution: Distribution = "global",
    pattern: str | Pattern = "unstructured",
) -> Compression:
    """Alternates between sparse and dense phases, and ends sparse (AC/DC).

    .. math:: M_t = \\begin{cases} 1 & t < t_0 \\text{ or } \\lfloor (t - t_0) / \\Delta \\rfloor \\text{ odd} \\\\
        top_{(1 - s) N}(|W|) \\text{ at the start of the phase} & \\text{otherwise} \\end{cases}

    A sparse phase sets all but the largest weights to exactly 0 and trains the rest; a dense phase trains all weights,
    the zeros from 0. From `end` on the network stays sparse; if `end` falls in a dense phase, the masks are chosen
    there. One training run yields a sparse network and, after a dense phase, a dense one. Saves bytes as `gradual`; no
    speed-up.

    Args:
        sparsity: Fraction of zeros in sparse phases, in [0, 1); None if the pattern fixes it (N:M).
        begin: Steps of dense training first, at least 0.
        every: Steps per phase, at least 1; five epochs in the paper.
        end: Step from which the network stays sparse, at least `begin`.
        distribution: `"global"` as in the paper, `"uniform"`, `"erk"` or `{pattern: sparsity}`.
        pattern: See `as_pattern`; N:M patterns need `"uniform"`.

    Returns:
        Compression with `Masked` nodes and a `GradualState`.

    Raises:
        ValueError: If a setting is out of range.

    Example:
        >>> method = acdc(0.5, begin=0, every=2, end=4)
        >>> method.init({"kernel": jnp.array([[3.0, -1.0]])}).masks["kernel"].tolist()
        [[True, False]]

    Source: Peste et al., arXiv:2106.12379 (peste2021).
    """
    zeros = own_sparsity(sparsity, pattern)
    units = check_pattern(pattern, zeros, distribution, "acdc")
    begin, every, end = integers("acdc", begin=begin, every=every, end=end)
    if begin < 0 or every < 1 or end < begin:
        raise ValueError(f"acdc: begin={begin} must be at least 0, every={every} at least 1, end={end} at least begin")

    def masks_at(step: Any, weights: Callable[[], Arrays], masks: Arrays) -> Arrays:
        counts = kept_counts(shapes_of(masks), zeros, distribution, whole=units.single)
        odd = ((step - begin) // every) % 2 == 1
        dense = (step < begin) | (odd & (step < end))
        changes = (step >= begin) & (step <= end) & (((step - begin) % every == 0) | ((step == end) & odd))

        def phase() -> Arrays:
            whole = whole_masks(masks)  # inside, so that it is not written at every step
            return jax.lax.cond(dense, lambda: whole, lambda: largest(weights(), whole, counts, False, units))

        return jax.lax.cond(changes, phase, lambda: masks)

    def init(flat: Arrays) -> GradualState:
        start = jnp.zeros((), jnp.int32)
        return GradualState(start, masks_at(start, lambda: flat, whole_masks(flat)))

    def before_step(grads: Arrays, flat: Arrays, state: GradualState) -> tuple[Arrays, GradualState]:
        def weights() -> Arrays:
            # Reading the gradient orders the change after the last use of the old masks, so that the compiler need not
            # copy them at every step. Weights with a NaN gradient are pruned first.
            return {path: jnp.where(jnp.isnan(grads[path]), jnp.zeros((), x.dtype), x) for path, x in flat.items()}

        masks = masks_at(state.count + 1, weights, state.masks)
        return zero_masked(grads, masks), state._replace(masks=masks)

    name = f"acdc(sparsity={zeros}, end={end})"
    return masking(name, learns=True, init=init, before_step=before_step, after_step=count_and_zero)
