"""AC/DC: training alternates between compressed and decompressed phases."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from compressjax.core import Compression, zero_masked
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
    """Alternates between a sparse and a dense network, and ends sparse (AC/DC).

    .. math:: M_t = \\begin{cases} 1 & t < t_0 \\text{ or } \\lfloor (t - t_0) / \\Delta \\rfloor \\text{ odd} \\\\
        top_{(1 - s) N}(|W|) \\text{ at the start of the phase} & \\text{otherwise} \\end{cases}

    A compressed phase begins by setting all but the largest weights to exactly 0, and trains the others; a
    decompressed one trains all, the zeros from 0. Phases change in `before_step`. From `end` on the network stays
    compressed, under masks that are chosen at `end` if that step would lie in a decompressed phase. One training
    yields a sparse network and, at the end of a decompressed phase, a dense one.

    Bytes as for `gradual`; no speed-up by itself.

    Args:
        sparsity: Fraction of zeros in compressed phases, in [0, 1).
        begin: Steps of dense training first, at least 0.
        every: Steps of a phase, at least 1; the paper has five epochs.
        end: Step from which the network stays compressed, at least `begin`.
        distribution: `"global"` as in the paper, `"uniform"`, `"erk"` or `{pattern: sparsity}`.
        pattern: What is removed together, see `as_pattern`; N:M patterns need `"uniform"`, and `sparsity` is their
            own, or None.

    Returns:
        Compression whose nodes are `Masked`; its state is a `GradualState`.

    Raises:
        ValueError: If a setting is out of its range, or the pattern fixes another sparsity.

    Example:
        >>> method = acdc(0.5, begin=1, every=2, end=5)
        >>> params = {"kernel": jnp.array([[3.0, -1.0]])}
        >>> state, kept = method.init(params), []
        >>> for _ in range(6):
        ...     _, state = method.before_step(params, params, state)
        ...     params, state = method.after_step(params, state)
        ...     kept.append(int(state.masks["kernel"].sum()))
        >>> kept
        [1, 1, 2, 2, 1, 1]

    Source: Peste et al., arXiv:2106.12379 (peste2021).
    """
    zeros = own_sparsity(sparsity, pattern)
    units = check_pattern(pattern, zeros, distribution, "acdc")
    if begin < 0 or every < 1 or end < begin:
        raise ValueError(f"acdc: begin={begin} must be at least 0, every={every} at least 1, end={end} at least begin")

    def masks_at(step: Any, weights: Callable[[], Arrays], masks: Arrays) -> Arrays:
        counts = kept_counts(shapes_of(masks), zeros, distribution, whole=units.single)
        odd = ((step - begin) // every) % 2 == 1
        dense = (step < begin) | (odd & (step < end))
        changes = (step >= begin) & (step <= end) & (((step - begin) % every == 0) | ((step == end) & odd))

        def phase() -> Arrays:
            whole = whole_masks(masks)  # here, as the compiler would write it at every step
            return jax.lax.cond(dense, lambda: whole, lambda: largest(weights(), whole, counts, False, units))

        return jax.lax.cond(changes, phase, lambda: masks)

    def init(flat: Arrays) -> GradualState:
        start = jnp.zeros((), jnp.int32)
        return GradualState(start, masks_at(start, lambda: flat, whole_masks(flat)))

    def before_step(grads: Arrays, flat: Arrays, state: GradualState) -> tuple[Arrays, GradualState]:
        def weights() -> Arrays:
            # Reading the gradient orders the change after the last use of the old masks, which the compiler would
            # otherwise copy at every step; and a weight whose gradient is no number may go first.
            return {path: jnp.where(jnp.isnan(grads[path]), jnp.zeros((), x.dtype), x) for path, x in flat.items()}

        masks = masks_at(state.count + 1, weights, state.masks)
        return zero_masked(grads, masks), state._replace(masks=masks)

    name = f"acdc(sparsity={zeros}, end={end})"
    return masking(name, learns=True, init=init, before_step=before_step, after_step=count_and_zero)
