"""Top-KAST: a sparse forward pass, and a larger set of weights that learns."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from compressjax.core import Compression, Masks, zero_masked
from compressjax.core._settings import integers
from compressjax.numerics._counts import choose as pick
from compressjax.prune.distributions._densities import kept_counts
from compressjax.prune.patterns._checks import Distribution, check_pattern, check_sparsity, check_strength, own_sparsity
from compressjax.prune.patterns._pattern import Pattern
from compressjax.prune.training._gradual import largest
from compressjax.prune.training._masking import Arrays, masking, shapes_of, whole_masks


class TopkastState(NamedTuple):
    """State of `topkast`: masks of the used weights (`forward`) and of the learning ones (`backward`, a superset)."""

    count: jax.Array  # type: ignore[assignment]  # hides tuple.count, as optax's states do
    forward: Arrays
    backward: Arrays


def topkast(
    sparsity: float | None,
    backward_sparsity: float,
    *,
    every: int = 100,
    penalty: float = 1e-4,
    norm: int = 2,
    explore_until: int | None = None,
    distribution: Distribution = "uniform",
    pattern: str | Pattern = "unstructured",
) -> Compression:
    """Uses the largest weights, and trains these and the next largest (Top-KAST).

    .. math:: A = top_D(|W|), \\quad B = top_{D + M}(|W|), \\quad \\hat W = A \\odot W, \\quad
        g = B \\odot \\frac{\\partial L}{\\partial \\hat W}
        + \\lambda\\,(A + \\tfrac{1}{D} (B \\setminus A)) \\odot R'(W)

    The second term is the exploration penalty, `R(w) = |w|` or `w^2 / 2`. Unused weights in `B` shrink `1 / D` times as
    fast as used ones, so the two swap until the best are in use. Weights outside `B` do not move, and only `B` needs
    gradients and moments. Saves bytes as `gradual`; no speed-up.

    Args:
        sparsity: Fraction of unused weights, in [0, 1); `D` is one minus it. None if the pattern fixes it (N:M).
        backward_sparsity: Fraction that does not learn, in [0, `sparsity`].
        every: Steps between rankings, at least 1.
        penalty: The factor `lambda`, at least 0.
        norm: 1 or 2, for `R` above.
        explore_until: Step from which `B = A`, at least 0, so that only used weights train; None for never.
        distribution: `"uniform"`, `"erk"`, `"global"` or `{pattern: sparsity}` (then `backward_sparsity` applies to
            every leaf).
        pattern: See `as_pattern`; of an N:M pattern, M times one minus `backward_sparsity` weights of M learn.

    Returns:
        Compression with `Masked` nodes.

    Raises:
        ValueError: If a setting is out of range.

    Example:
        >>> method = topkast(0.75, 0.5)
        >>> state = method.init({"kernel": jnp.array([[3.0, -1.0, 2.0, -4.0]])})
        >>> state.forward["kernel"].tolist(), state.backward["kernel"].tolist()
        ([[False, False, False, True]], [[True, False, False, True]])

    Source: Jayakumar et al., arXiv:2106.03517 (jayakumar2020).
    """
    zeros = own_sparsity(sparsity, pattern)
    units = check_pattern(pattern, zeros, distribution, "topkast")
    backward_sparsity = check_sparsity(backward_sparsity, "backward_sparsity")
    penalty = check_strength("topkast", "penalty", penalty)
    every, norm, explore_until = integers("topkast", every=every, norm=norm, explore_until=explore_until)
    if backward_sparsity > zeros:
        raise ValueError(
            f"backward_sparsity={backward_sparsity} exceeds sparsity={zeros}: what is used must also learn"
        )
    if every < 1 or norm not in (1, 2):
        raise ValueError(f"topkast: every={every} must be at least 1, norm={norm} 1 or 2")
    if explore_until is not None and explore_until < 0:
        raise ValueError(f"topkast: explore_until={explore_until} must be at least 0, or None to explore to the end")

    def choose(flat: Arrays, step: Any) -> tuple[Arrays, Arrays]:
        everything = whole_masks(flat)
        counts = partial(kept_counts, shapes_of(flat), whole=units.single)
        used = counts(zeros, distribution)
        wide = distribution if isinstance(distribution, str) else "uniform"
        # With full leaves the densities of a distribution may not be nested, so take the larger count.
        learns: dict[str, Any] = {pool: max(n, used[pool]) for pool, n in counts(backward_sparsity, wide).items()}
        if explore_until is not None:
            learns = {pool: pick(step >= explore_until, used[pool], n) for pool, n in learns.items()}
        return largest(flat, everything, used, False, units), largest(flat, everything, learns, False, units)

    def init(flat: Arrays) -> TopkastState:
        return TopkastState(jnp.zeros((), jnp.int32), *choose(flat, 0))

    def after_step(flat: Arrays, state: TopkastState, stats: Any) -> tuple[Arrays, TopkastState]:
        step = state.count + 1
        due = step % every == 0
        masks = jax.lax.cond(due, lambda: choose(flat, step), lambda: (state.forward, state.backward))
        return flat, TopkastState(step, *masks)

    def before_step(grads: Arrays, flat: Arrays, state: TopkastState) -> tuple[Arrays, TopkastState]:
        explored = {
            path: g + _slope(flat[path], state.forward[path], penalty, norm, 1.0 - zeros).astype(g.dtype)
            for path, g in grads.items()
        }
        return zero_masked(explored, state.backward), state

    def masks(flat: Arrays, state: TopkastState) -> Masks:
        return Masks(state.forward, state.backward)

    name = f"topkast(sparsity={zeros}, backward_sparsity={backward_sparsity})"
    return masking(name, learns=True, init=init, masks=masks, before_step=before_step, after_step=after_step)


def _slope(x: jax.Array, used: jax.Array, penalty: float, norm: int, density: float) -> jax.Array:
    """Derivative of the exploration penalty, for weights that learn."""
    wide = x.astype(jnp.float32)
    return penalty * jnp.where(used, 1.0, 1.0 / density) * (jnp.sign(wide) if norm == 1 else wide)
