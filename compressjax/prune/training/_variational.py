"""Sparse variational dropout: weights with more noise than signal are removed."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from compressjax.core import Compression, Masks, dense_gradient, zero_masked
from compressjax.core._learn import learn
from compressjax.core._settings import integers, numbers
from compressjax.numerics._keys import key_data, stream
from compressjax.prune.training._masking import Arrays, masked_nodes, masking

K1, K2, K3 = 0.63576, 1.87320, 1.48695


class VariationalState(NamedTuple):
    """State of `variational`: `log_sigma2`, the log variance per weight, and masks, True where `log alpha` is small."""

    count: jax.Array  # type: ignore[assignment]  # hides tuple.count, as optax's states do
    key: jax.Array
    log_sigma2: Arrays
    masks: Arrays
    inner: Any


def variational(
    examples: int,
    key: jax.Array,
    *,
    end: int,
    warmup: int = 0,
    threshold: float = 3.0,
    initial: float = -10.0,
    strength: float = 1.0,
    optimizer: optax.GradientTransformation | None = None,
) -> Compression:
    """Learns a variance for every weight and removes weights that are mostly noise (sparse variational dropout).

    .. math:: \\hat W = W + \\sigma \\odot \\epsilon, \\qquad \\log\\alpha = \\log\\sigma^2 - \\log W^2, \\qquad
        R = \\frac{\\beta_t}{N} \\sum k_1 + \\tfrac{1}{2} \\log(1 + \\alpha^{-1})
        - k_1\\,\\sigma(k_2 + k_3 \\log\\alpha)

    `R` approximates the divergence from the log-uniform prior, with `k = 0.63576, 1.87320, 1.48695`. Its weight
    `beta_t` rises from 0 to `strength` over `warmup` steps, and it adds to the gradients of `W` and `log sigma^2`. From
    `end` on, weights with `log alpha` above the threshold are zero, the rest have no noise, and masks are fixed. The
    paper draws noise for activations; here each step draws it for weights, which suits any function but raises the
    variance of the gradient. Saves bytes as `gradual`; no speed-up.

    Args:
        examples: Size `N` of the training set, if the loss is a mean over examples.
        key: PRNG key of the noise.
        end: Step from which weights have no noise.
        warmup: Steps over which the divergence is phased in, in [0, `end`].
        threshold: Largest `log alpha` of a kept weight; 3 in the paper, where 95 % of the noisy weight is noise.
        initial: Initial `log sigma^2`.
        strength: Final `beta`; 1 is the variational bound.
        optimizer: Optimizer of `log sigma^2`; `optax.adam(1e-3)` if None.

    Returns:
        Compression with `Masked` nodes.

    Raises:
        ValueError: If a setting is out of range.

    Example:
        >>> noisy = variational(1000, jax.random.key(0), end=0, initial=0.0)
        >>> params = {"kernel": jnp.array([[2.0, 0.1]])}
        >>> noisy.view(params, noisy.init(params))["kernel"].tolist()
        [[2.0, 0.0]]

    Source: Molchanov et al., arXiv:1701.05369 (molchanov2017).
    """
    examples, end, warmup = integers("variational", examples=examples, end=end, warmup=warmup)
    threshold, initial, strength = numbers("variational", threshold=threshold, initial=initial, strength=strength)
    if examples < 1 or not 0 <= strength < math.inf:
        raise ValueError(f"variational: examples={examples} must be at least 1, strength={strength} in [0, inf)")
    if not 0 <= warmup <= end:
        raise ValueError(f"variational: warmup={warmup} and end={end} must satisfy 0 <= warmup <= end")
    if not math.isfinite(initial) or math.isnan(threshold):
        raise ValueError(f"variational: initial={initial} must be finite and threshold={threshold} a number, as 3")
    moves = optax.adam(1e-3) if optimizer is None else optimizer
    return _noisy(examples, key_data(key), end, warmup, threshold, initial, strength, moves)


def _noisy(
    examples: int,
    data: jax.Array,
    end: int,
    warmup: int,
    threshold: float,
    initial: float,
    strength: float,
    moves: optax.GradientTransformation,
) -> Compression:
    def masks_of(flat: Arrays, log_sigma2: Arrays) -> Arrays:
        return {path: log_alpha(x.astype(jnp.float32), log_sigma2[path]) <= threshold for path, x in flat.items()}

    def init(flat: Arrays) -> VariationalState:
        start = {path: jnp.full_like(x, initial, jnp.float32) for path, x in flat.items()}
        return VariationalState(
            jnp.zeros((), jnp.int32), jnp.copy(data), start, masks_of(flat, start), moves.init(start)
        )

    def after_step(flat: Arrays, state: VariationalState, stats: Any) -> tuple[Arrays, VariationalState]:
        step = state.count + 1
        fresh = masks_of(flat, state.log_sigma2)
        masks = {path: jnp.where(step <= end, fresh[path], old) for path, old in state.masks.items()}
        return flat, state._replace(count=step, masks=masks)

    def noise(state: VariationalState, path: str) -> jax.Array:
        return jax.random.normal(stream(state.key, path, state.count), state.log_sigma2[path].shape, jnp.float32)

    def view(flat: Arrays, state: VariationalState) -> Arrays:
        final, viewed = zero_masked(flat, state.masks), {}
        for path, x in flat.items():
            noisy = x.astype(jnp.float32) + jnp.exp(state.log_sigma2[path] / 2) * noise(state, path)
            viewed[path] = jnp.where(state.count < end, noisy.astype(x.dtype), final[path])
        return dense_gradient(flat, viewed)

    def before_step(grads: Arrays, flat: Arrays, state: VariationalState) -> tuple[Arrays, VariationalState]:
        sampling = state.count < end
        ramp = jnp.where(state.count < warmup, state.count.astype(jnp.float32) / max(warmup, 1), 1.0)
        weight = strength / examples * ramp
        received, slopes = {}, {}
        for path, g in grads.items():
            x, wide = flat[path].astype(jnp.float32), g.astype(jnp.float32)
            pull, widen = jax.grad(divergence, argnums=(0, 1))(x, state.log_sigma2[path])
            slopes[path] = wide * noise(state, path) * jnp.exp(state.log_sigma2[path] / 2) / 2 + weight * widen
            final = jnp.where(state.masks[path], wide, 0.0)
            received[path] = jnp.where(sampling, wide + weight * pull, final).astype(g.dtype)
        moved = learn(moves, slopes, state.inner, state.log_sigma2)
        log_sigma2, inner = jax.tree.map(
            lambda new, old: jnp.where(sampling, new, old), moved, (state.log_sigma2, state.inner)
        )
        return received, state._replace(log_sigma2=log_sigma2, inner=inner)

    return masking(
        f"variational(end={end}, threshold={threshold})",
        init=init,
        view=view,
        encode=lambda flat, state: masked_nodes(flat, state.masks),
        masks=lambda flat, state: Masks({path: mask | (state.count < end) for path, mask in state.masks.items()}),
        before_step=before_step,
        after_step=after_step,
        learns=True,
    )


def log_alpha(weight: jax.Array, log_sigma2: jax.Array) -> jax.Array:
    """Logarithm of the noise-to-signal ratio, clipped to [-8, 8] to keep its gradient finite."""
    return jnp.clip(log_sigma2 - jnp.log(jnp.square(weight) + 1e-16), -8.0, 8.0)


def divergence(weight: jax.Array, log_sigma2: jax.Array) -> jax.Array:
    """Approximate divergence of the noisy weights from the log-uniform prior, at least 0."""
    a = log_alpha(weight, log_sigma2)
    return jnp.sum(K1 + 0.5 * jax.nn.softplus(-a) - K1 * jax.nn.sigmoid(K2 + K3 * a))
