"""Sparse evolutionary training: drops weak connections and grows random ones."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from compressjax.core import Compression, zero_masked
from compressjax.numerics._keys import key_data, stream
from compressjax.prune.patterns._checks import Distribution
from compressjax.prune.patterns._pattern import Pattern
from compressjax.prune.training._exchange import check_exchange, check_sizes, drop_fraction, due, exchanged
from compressjax.prune.training._masking import Arrays, count_and_zero, masking
from compressjax.prune.training._random import drawn_masks


class SetState(NamedTuple):
    """State of `set_`: `count`, steps done, `key`, data of the PRNG key, and `masks`, True where the weight is kept."""

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
    """Trains sparse from the start and moves connections at random (SET).

    .. math:: M' = (M \\setminus \\text{k smallest } |w|) \\cup (\\text{k random outside } M), \\qquad k = f_t |M|

    Every `every` steps, before `end`, `before_step` drops the fraction `f_t` of each leaf's kept weights and grows the
    same number elsewhere. Grown weights start at exactly 0 and take their first step at once. Dropped weights are
    exactly 0 after the step, moments included. The number of kept weights is constant. The paper drops the smallest
    positive and the largest negative weights; these are the ones nearest to zero. Saves bytes as `gradual`; no
    speed-up.

    Args:
        sparsity: Fraction of zeros over all leaves, in [0, 1).
        key: PRNG key of the first masks and of growth.
        end: Step from which masks are fixed, about three quarters of the training run.
        every: Steps between exchanges, at least 1; one epoch in the paper.
        fraction: Fraction of the kept weights that is exchanged, in (0, 1); 0.3 in the paper.
        anneal: Whether the fraction falls to 0 along a half cosine, as in RigL; the paper keeps it constant.
        distribution: `"erk"`, `"uniform"` or `{pattern: sparsity}`.
        pattern: As for `rigl`.

    Returns:
        Compression with `Masked` nodes.

    Raises:
        ValueError: If a setting is out of range, or the pattern fixes a density.

    Example:
        >>> method = set_(0.5, jax.random.key(0), end=10)
        >>> int(method.init({"kernel": jnp.ones((4, 5))}).masks["kernel"].sum())
        10

    Source: Mocanu et al., arXiv:1707.04780 (mocanu2018); schedule: Evci et al., arXiv:1911.11134 (evci2020).
    """
    sparsity, end, every, fraction, units = check_exchange(
        "set_", sparsity, end, every, fraction, distribution, pattern
    )
    data = key_data(key)

    def init(flat: Arrays) -> SetState:
        check_sizes("set_", flat)
        return SetState(
            jnp.zeros((), jnp.int32), jnp.copy(data), drawn_masks(data, flat, sparsity, distribution, units)
        )

    def before_step(grads: Arrays, flat: Arrays, state: SetState) -> tuple[Arrays, SetState]:
        step = state.count + 1

        def growth(path: str) -> jax.Array:
            # Reading the gradient orders the exchange after the last use of the old masks, so that the compiler need
            # not copy them at every step. Never grow a weight whose gradient is NaN.
            chance = jax.random.uniform(stream(state.key, path, step), flat[path].shape, jnp.float32)
            return jnp.where(jnp.isnan(grads[path]), -1.0, chance)

        def share() -> jax.Array:
            return drop_fraction(step, fraction, end) if anneal else jnp.float32(fraction)

        masks = exchanged(flat, state.masks, growth, share, due(step, every, end), units)
        return zero_masked(grads, masks), state._replace(masks=masks)

    name = f"set_(sparsity={sparsity}, end={end})"
    return masking(name, learns=True, init=init, before_step=before_step, after_step=count_and_zero)
