"""Masks that are chosen anew at every step, while all weights keep learning."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from compressjax.core import Compression, Masks
from compressjax.prune.patterns._checks import Distribution, check_pattern, check_strength
from compressjax.prune.patterns._masks import masks_of
from compressjax.prune.patterns._pattern import Pattern
from compressjax.prune.training._masking import Arrays, masking


class SteState(NamedTuple):
    """State of `ste` and `sr_ste`.

    Attributes:
        count: Steps done, int32 scalar.
        masks: `{path: bool array}`, True where the weight is used at present.
    """

    count: jax.Array  # type: ignore[assignment]  # hides tuple.count, as optax's states do
    masks: Arrays


def ste(
    sparsity: float | None = None,
    *,
    pattern: str | Pattern = "unstructured",
    distribution: Distribution = "uniform",
    every: int = 1,
    end: int | None = None,
) -> Compression:
    """Uses the largest weights and trains all of them, with straight-through gradients.

    .. math:: \\hat W = M(W) \\odot W, \\qquad \\frac{\\partial L}{\\partial W} :=
        \\frac{\\partial L}{\\partial \\hat W}

    Masks follow the magnitudes, so a weight that was out comes back with the value it has learned meanwhile. Nothing is
    frozen: moments and weight decay act on all weights.

    Bytes as for `gradual`; of N:M patterns, the positions cost less than a bit a weight. No speed-up on a CPU: dense
    products multiply zeros too; accelerators with sparse units run 2:4.

    Args:
        sparsity: Fraction of zeros, in [0, 1); None for patterns that fix it, such as `"2:4"`.
        pattern: `"unstructured"`, `"2:4"` (the 2 largest of each 4 along the input axis), or any other pattern of
            `as_pattern`.
        distribution: `"uniform"`, `"erk"`, `"global"` or `{pattern: sparsity}`.
        every: Steps between masks, at least 1.
        end: Step from which masks stay; None for never.

    Returns:
        Compression whose nodes are `Masked`.

    Raises:
        ValueError: If a setting is out of its range; from `init`, if the pattern does not fit a leaf.

    Example:
        >>> method = ste(pattern="1:2")
        >>> params = {"kernel": jnp.array([[3.0], [-1.0], [2.0], [-4.0]])}
        >>> method.view(params, method.init(params))["kernel"].ravel().tolist()
        [3.0, 0.0, 0.0, -4.0]

    Source: Bengio et al., arXiv:1308.3432 (bengio2013); for N:M, Zhou et al., arXiv:2102.04010 (zhou2021).
    """
    return _ste("ste", 0.0, sparsity, pattern, distribution, every, end)


def sr_ste(
    sparsity: float | None = None,
    *,
    pattern: str | Pattern = "2:4",
    decay: float = 2e-4,
    distribution: Distribution = "uniform",
    every: int = 1,
    end: int | None = None,
) -> Compression:
    """As `ste`, and pulls the weights that are out toward zero, so that masks settle.

    .. math:: g = \\frac{\\partial L}{\\partial \\hat W} + \\lambda\\,(1 - M) \\odot W

    The term enters the gradient before the optimizer, as in the paper. Bytes and speed as for `ste`.

    Args:
        sparsity: As for `ste`.
        pattern: As for `ste`.
        decay: The factor `lambda`, at least 0; 2e-4 in the paper, for plain SGD.
        distribution: As for `ste`.
        every: As for `ste`.
        end: As for `ste`.

    Returns:
        Compression whose nodes are `Masked`.

    Raises:
        ValueError: As `ste`, or if `decay` is negative.

    Example:
        >>> method = sr_ste(pattern="1:2", decay=0.5)
        >>> params = {"kernel": jnp.array([[3.0], [-1.0]])}
        >>> grads, _ = method.before_step({"kernel": jnp.zeros((2, 1))}, params, method.init(params))
        >>> grads["kernel"].ravel().tolist()
        [0.0, -0.5]

    Source: Zhou et al., arXiv:2102.04010 (zhou2021).
    """
    check_strength("sr_ste", "decay", decay, "below, weights that are out would be pushed away from zero")
    return _ste("sr_ste", decay, sparsity, pattern, distribution, every, end)


def _ste(
    name: str,
    decay: float,
    sparsity: float | None,
    pattern: str | Pattern,
    distribution: Distribution,
    every: int,
    end: int | None,
) -> Compression:
    shape = check_pattern(pattern, sparsity, distribution, name)
    if every < 1 or (end is not None and end < 0):
        raise ValueError(f"{name}: every={every} must be at least 1 and end={end} at least 0")

    def choose(flat: Arrays) -> Arrays:
        sizes = {path: jnp.abs(x).astype(jnp.float32) for path, x in flat.items()}
        return masks_of(sizes, sparsity, distribution, shape)

    def after_step(flat: Arrays, state: SteState, stats: Any) -> tuple[Arrays, SteState]:
        del stats
        step = state.count + 1
        if every == 1 and end is None:
            return flat, SteState(step, choose(flat))
        due = step % every == 0
        if end is not None:
            due = due & (step <= end)
        return flat, SteState(step, jax.lax.cond(due, lambda: choose(flat), lambda: state.masks))

    def before_step(grads: Arrays, flat: Arrays, state: SteState) -> tuple[Arrays, SteState]:
        if not decay:
            return grads, state
        pulled = {}
        for path, g in grads.items():
            out = jnp.where(state.masks[path], jnp.zeros((), g.dtype), flat[path].astype(g.dtype))
            pulled[path] = g + jnp.asarray(decay, g.dtype) * out
        return pulled, state

    return masking(
        f"{name}({shape.name if sparsity is None else f'sparsity={sparsity}'})",
        learns=True,
        init=lambda flat: SteState(jnp.zeros((), jnp.int32), choose(flat)),
        masks=lambda flat, state: Masks(state.masks, {}),
        before_step=before_step,
        after_step=after_step,
    )
