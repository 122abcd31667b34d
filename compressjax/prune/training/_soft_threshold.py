"""Soft threshold reparametrization (STR): every leaf learns its threshold."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from compressjax.core import Compression, Masks, dense_gradient, on_values
from compressjax.core._learn import learn
from compressjax.core._settings import as_number
from compressjax.prune.patterns._checks import check_strength
from compressjax.prune.training._masking import Arrays
from compressjax.tensors import Masked


class SoftThresholdState(NamedTuple):
    """State of `soft_threshold`: a learned scalar `s` per leaf (`logits`) and its sigmoid (`thresholds`)."""

    logits: Arrays
    thresholds: Arrays
    inner: Any


def soft_threshold(
    *, initial: float = -10.0, decay: float = 3e-5, optimizer: optax.GradientTransformation | None = None
) -> Compression:
    """Soft-thresholds all weights, with a threshold that every leaf learns (STR).

    .. math:: \\hat W = sign(W) \\odot relu(|W| - \\sigma(s)), \\qquad
        g_s = -\\sigma'(s) \\sum_{|W_i| > \\sigma(s)} sign(W_i) \\frac{\\partial L}{\\partial \\hat W_i} + \\lambda s

    The decay moves `s` from its negative start toward 0, so the threshold grows until the loss resists: `decay` decides
    the sparsity, and training its distribution over layers. Gradients are exact; the paper's weight decay, with the
    same factor, belongs in the optimizer of the weights. Saves bytes as `gradual`; no speed-up.

    Args:
        initial: Initial `s`, negative; -3200 to -10 in the paper.
        decay: The factor `lambda`, at least 0; a larger one gives more zeros.
        optimizer: Optimizer of `s`; `optax.sgd(0.1, momentum=0.875)`, as in the paper, if None.

    Returns:
        Compression with `Masked` nodes.

    Raises:
        ValueError: If a setting is out of range.

    Example:
        >>> method = soft_threshold(initial=0.0)
        >>> params = {"kernel": jnp.array([[2.0, -1.0, 0.3]])}
        >>> method.view(params, method.init(params))["kernel"].tolist()
        [[1.5, -0.5, 0.0]]

    Source: Kusupati et al., arXiv:2002.03231 (kusupati2020).
    """
    decay = check_strength("soft_threshold", "decay", decay, "larger gives more zeros")
    initial = as_number("soft_threshold", "initial", initial)
    if not math.isfinite(initial):
        raise ValueError(f"soft_threshold: initial={initial} must be finite; -10 is a threshold near zero")
    moves = optax.sgd(0.1, momentum=0.875) if optimizer is None else optimizer

    def sigmoids(logits: Arrays) -> Arrays:
        # Kept in the state, because two programs may round the same sigmoid differently.
        return {path: jax.nn.sigmoid(s) for path, s in logits.items()}

    def init(flat: Arrays) -> SoftThresholdState:
        logits = dict.fromkeys(flat, jnp.full((), initial, jnp.float32))
        return SoftThresholdState(logits, sigmoids(logits), moves.init(logits))

    def pulled(flat: Arrays, state: SoftThresholdState) -> Arrays:
        return {path: shrink(x, state.thresholds[path]) for path, x in flat.items()}

    def before_step(grads: Arrays, flat: Arrays, state: SoftThresholdState) -> tuple[Arrays, SoftThresholdState]:
        received, slopes = {}, {}
        for path, g in grads.items():
            x, s = flat[path].astype(jnp.float32), state.logits[path]
            _, back = jax.vjp(lambda x, s: shrink(x, jax.nn.sigmoid(s)), x, s)
            through, slope = back(g.astype(jnp.float32))
            received[path], slopes[path] = through.astype(g.dtype), slope + decay * s
        logits, inner = learn(moves, slopes, state.inner, state.logits)
        return received, state._replace(logits=logits, inner=inner)

    def masks(flat: Arrays, state: SoftThresholdState) -> Masks:
        return Masks({path: x != 0 for path, x in pulled(flat, state).items()}, {})

    def encode(flat: Arrays, state: SoftThresholdState) -> dict[str, Masked]:
        return {path: Masked(x, x != 0) for path, x in pulled(flat, state).items()}

    def after_step(flat: Arrays, state: SoftThresholdState, stats: Any) -> tuple[Arrays, SoftThresholdState]:
        return flat, state._replace(thresholds=sigmoids(state.logits))

    return on_values(
        f"soft_threshold(decay={decay})",
        init=init,
        view=lambda flat, state: dense_gradient(flat, pulled(flat, state)),
        encode=encode,
        masks=masks,
        before_step=before_step,
        after_step=after_step,
        learns=True,
    )


def shrink(x: jax.Array, threshold: jax.Array | float) -> jax.Array:
    """Soft thresholding, `sign(x) max(|x| - threshold, 0)`, computed in float32."""
    wide = x.astype(jnp.float32)
    out = jnp.where(jnp.abs(wide) > threshold, wide - jnp.sign(wide) * threshold, 0.0).astype(x.dtype)
    # Values that round to -0 in 16 bits become +0.
    return jnp.where(out == 0, jnp.zeros((), x.dtype), out)
