"""Least squares with a penalty on the size of blocks of coefficients, from second moments."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

_HIGH = jax.lax.Precision.HIGHEST
_STEPS, _TOLERANCE = 20_000, 1e-7


def block_lasso(
    gram: jax.Array, cross: jax.Array, groups: Any, penalty: Any, weights: Any
) -> jax.Array:  # fmt: skip
    """Coefficients `[d, outputs]` that minimize `tr(W'GW) / 2 - tr(W'C) + penalty sum_g weights_g |W_g|`.

    Accelerated proximal steps, which restart where the objective would rise (O'Donoghue and Candes, arXiv:1204.3982).
    """
    groups, count = jnp.asarray(groups), len(weights)
    step = 1 / jnp.maximum(jnp.linalg.eigvalsh(gram)[-1], 1e-30)
    limit = (penalty * step * jnp.asarray(weights, jnp.float32))[groups][:, None]

    def shrunk(w: jax.Array) -> jax.Array:
        own = jax.ops.segment_sum(jnp.sum(w**2, axis=1), groups, count)
        size = jnp.sqrt(own)[groups][:, None]
        return w * jnp.maximum(1 - limit / jnp.maximum(size, 1e-30), 0.0)

    def move(carry: tuple[Any, ...]) -> tuple[Any, ...]:
        w, ahead, t, i, _ = carry
        new = shrunk(ahead - step * (jnp.matmul(gram, ahead, precision=_HIGH) - cross))
        # The momentum points uphill where the step goes against the last move.
        uphill = jnp.sum((ahead - new) * (new - w)) > 0
        grown = jnp.where(uphill, 1.0, (1 + jnp.sqrt(1 + 4 * t**2)) / 2)
        momentum = jnp.where(uphill, 0.0, (t - 1) / grown)
        moved = jnp.max(jnp.abs(new - ahead))
        return new, new + momentum * (new - w), grown, i + 1, moved

    def goes_on(carry: tuple[Any, ...]) -> jax.Array:
        w, _, _, i, moved = carry
        return (i < _STEPS) & (moved > _TOLERANCE * jnp.maximum(jnp.max(jnp.abs(w)), 1e-30))

    zeros = jnp.zeros_like(cross)
    start = (zeros, zeros, jnp.ones(()), jnp.zeros((), jnp.int32), jnp.full((), jnp.inf))
    found: jax.Array = jax.lax.while_loop(goes_on, move, start)[0]
    return found


def check_groups(who: str, groups: Any, features: int) -> tuple[np.ndarray, np.ndarray]:
    """The group of every feature, from 0, and the weights of groups: the root of their sizes."""
    given = np.arange(features) if groups is None else np.asarray(groups)
    if given.shape != (features,):
        raise ValueError(f"{who}: groups of shape {given.shape} must have one entry for each of {features} features")
    _, places, sizes = np.unique(given, return_inverse=True, return_counts=True)
    return places, np.sqrt(sizes)
