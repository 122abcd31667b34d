"""Sparse evolutionary training: weak connections die, random ones are born."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from compressjax.core import Compression, zero_masked
from compressjax.prune.patterns._checks import Distribution
from compressjax.prune.patterns._pattern import Pattern
from compressjax.prune.training._exchange import check_exchange, drop_fraction, due, exchanged
from compressjax.prune.training._masking import Arrays, count_and_zero, masking
from compressjax.prune.training._random import drawn_masks, key_data, stream


class SetState(NamedTuple):
    """State of `set_`.

    Attributes:
        count: Steps done, int32 scalar.
        key: Data of the PRNG key, uint32.
        masks: `{path: bool array}`, True where the weight is kept.
    """

    count: jax.Array  # type: ignore[assignment]  # hides tuple.count, as optax's states do
    key: jax.Array
    masks: Arrays


def set_(
    sparsity: float,
    key: jax.Array,
    *,
    end: int,
    every: int = 100,
    fraction: float = 0.3,
    anneal: bool = True,
    distribution: Distribution = "erk",
    pattern: str | Pattern = "unstructured",
) -> Compression:
    """Trains sparse from the start, and moves connections at random (SET).

    .. math:: M' = (M \\setminus \\text{k smallest } |w|) \\cup (\\text{k random outside } M), \\qquad k = f_t |M|

    Every `every` steps and before `end`, each leaf drops the fraction `f_t` of its kept weights and grows as many
    elsewhere, in `before_step`, before the step. Grown weights start at exactly 0 and take their first step at once;
    dropped ones are exactly 0 after it, moments included. The number kept never changes. The paper drops the smallest
    positive and the largest negative weights, which are those nearest to zero.

    What it buys: bytes as `gradual`, and training state that is as sparse as the result; no speed-up by itself.

    Args:
        sparsity: Fraction of zeros over all leaves, in [0, 1).
        key: PRNG key of the first masks and of what grows.
        end: Step from which masks stay, about three quarters of the training.
        every: Steps between exchanges, at least 1; the paper has one epoch.
        fraction: Share of the kept weights that is exchanged, in (0, 1); 0.3 in the paper.
        anneal: Whether the share falls to 0 along a half cosine, as RigL has it; the paper keeps it constant.
        distribution: `"erk"`, `"uniform"` or `{pattern: sparsity}`.
        pattern: What is dropped and grown together, as for `rigl`.

    Returns:
        Compression whose nodes are `Masked`.

    Raises:
        ValueError: If a setting is out of its range, or the pattern fixes a density.

    Example:
        >>> params = {"kernel": jnp.arange(20.0).reshape(4, 5)}
        >>> evolve = set_(0.5, jax.random.key(0), end=10, every=1)
        >>> params, before = evolve.after_step(params, evolve.init(params))
        >>> _, after = evolve.before_step(params, params, before)
        >>> int(after.masks["kernel"].sum()), int((after.masks["kernel"] & ~before.masks["kernel"]).sum())
        (10, 2)

    Source: Mocanu et al., arXiv:1707.04780 (mocanu2018); schedule: Evci et al., arXiv:1911.11134 (evci2020).
    """
    units = check_exchange("set_", sparsity, end, every, fraction, distribution, pattern)
    data = key_data(key)

    def init(flat: Arrays) -> SetState:
        return SetState(jnp.zeros((), jnp.int32), data, drawn_masks(data, flat, sparsity, distribution, units))

    def before_step(grads: Arrays, flat: Arrays, state: SetState) -> tuple[Arrays, SetState]:
        step = state.count + 1

        def growth(path: str) -> jax.Array:
            # Reading the gradient orders the exchange after the last use of the old masks, which the compiler would
            # otherwise copy at every step; and a weight whose gradient is NaN must not grow.
            chance = jax.random.uniform(stream(state.key, path, step), flat[path].shape, jnp.float32)
            return jnp.where(jnp.isnan(grads[path]), -1.0, chance)

        def share() -> jax.Array:
            return drop_fraction(step, fraction, end) if anneal else jnp.float32(fraction)

        masks = exchanged(flat, state.masks, growth, share, due(step, every, end), units)
        return zero_masked(grads, masks), state._replace(masks=masks)

    return masking(
        f"set_(sparsity={sparsity}, end={end})",
        learns=True,
        init=init,
        before_step=before_step,
        after_step=count_and_zero,
    )
