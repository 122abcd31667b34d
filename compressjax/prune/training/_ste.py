"""Straight-through pruning: masks change at every step, while all weights learn."""

from typing import Any

import jax
import jax.numpy as jnp

from compressjax.core import Compression, Masks
from compressjax.core._settings import integers
from compressjax.prune.patterns._checks import Distribution, check_pattern, check_strength
from compressjax.prune.patterns._masks import masks_of
from compressjax.prune.patterns._pattern import Pattern
from compressjax.prune.training._gradual import GradualState
from compressjax.prune.training._masking import Arrays, masking


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

    Masks follow the magnitudes, so a masked weight can return with the value it has learned. Moments and weight decay
    act on all weights. Saves bytes as `gradual`; positions of N:M patterns cost less than a bit per weight. No speed-up
    on a CPU; accelerators with sparse units run 2:4.

    Args:
        sparsity: Fraction of zeros, in [0, 1); None if the pattern fixes it, such as `"2:4"`.
        pattern: `"unstructured"`, `"2:4"` (the 2 largest of each 4 along the input axis), or any other, see
            `as_pattern`.
        distribution: `"uniform"`, `"erk"`, `"global"` or `{pattern: sparsity}`.
        every: Steps between masks, at least 1.
        end: Step from which masks are fixed; None for never.

    Returns:
        Compression with `Masked` nodes.

    Raises:
        ValueError: If a setting is out of range; from `init`, if the pattern does not fit a leaf.

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
    """Acts as `ste` and decays the masked weights toward zero, so that masks become stable.

    .. math:: g = \\frac{\\partial L}{\\partial \\hat W} + \\lambda\\,(1 - M) \\odot W

    The decay enters the gradient before the optimizer, as in the paper. Bytes and speed as for `ste`.

    Args:
        sparsity: As for `ste`.
        pattern: As for `ste`.
        decay: The factor `lambda`, at least 0; 2e-4 in the paper, for plain SGD.
        distribution: As for `ste`.
        every: As for `ste`.
        end: As for `ste`.

    Returns:
        Compression with `Masked` nodes.

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
    decay = check_strength("sr_ste", "decay", decay, "a negative one moves masked weights away from zero")
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
    every, end = integers(name, every=every, end=end)
    if every < 1 or (end is not None and end < 0):
        raise ValueError(f"{name}: every={every} must be at least 1 and end={end} at least 0")

    def choose(flat: Arrays) -> Arrays:
        sizes = {path: jnp.abs(x).astype(jnp.float32) for path, x in flat.items()}
        return masks_of(sizes, sparsity, distribution, shape)

    def after_step(flat: Arrays, state: GradualState, stats: Any) -> tuple[Arrays, GradualState]:
        step = state.count + 1
        if every == 1 and end is None:
            return flat, GradualState(step, choose(flat))
        due = step % every == 0
        if end is not None:
            due = due & (step <= end)
        return flat, GradualState(step, jax.lax.cond(due, lambda: choose(flat), lambda: state.masks))

    def before_step(grads: Arrays, flat: Arrays, state: GradualState) -> tuple[Arrays, GradualState]:
        if not decay:
            return grads, state
        pulled = {}
        for path, g in grads.items():
            out = jnp.where(state.masks[path], jnp.zeros((), g.dtype), flat[path].astype(g.dtype))
            pulled[path] = g + jnp.asarray(decay, g.dtype) * out
        return pulled, state

    def init(flat: Arrays) -> GradualState:
        return GradualState(jnp.zeros((), jnp.int32), choose(flat))

    def masks(flat: Arrays, state: GradualState) -> Masks:
        return Masks(state.masks, {})

    name = f"{name}({shape.name if sparsity is None else f'sparsity={sparsity}'})"
    return masking(name, learns=True, init=init, masks=masks, before_step=before_step, after_step=after_step)
