"""Layers that are skipped at random in training."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.core._checks import is_concrete
from compressjax.core._settings import as_int
from compressjax.distill._pairs import fraction


def survival_rates(layers: int, last: Any) -> jax.Array:
    """Returns how often every layer is run: the deeper, the less.

    .. math:: p_i = 1 - \\frac{i}{n} (1 - p_n), \\quad i = 1, ..., n

    Progressive layer dropping lowers `last` in training: `jnp.exp(-gamma * step) * (1 - end) + end`.

    Args:
        layers: `n`, the number of residual layers.
        last: `p_n`, that of the last layer, in [0, 1]; may be traced.

    Returns:
        `[layers]`, float32.

    Raises:
        ValueError: If `last` is out of range, or there is no layer.

    Example:
        >>> survival_rates(4, 0.5).tolist()
        [0.875, 0.75, 0.625, 0.5]

    Source: Huang et al., arXiv:1603.09382 (huang2016); Zhang and He, arXiv:2010.13369 (zhang2020pld).
    """
    who = "survival_rates"
    if as_int(who, "layers", layers) < 1:
        raise ValueError(f"{who}: layers={layers} must be at least 1")
    last = fraction(who, "last", last, "1 runs all layers")
    return 1.0 - jnp.arange(1, layers + 1, dtype=jnp.float32) / layers * (1.0 - last)


def layer_gates(key: jax.Array, rates: Any) -> jax.Array:
    """Draws factors of residual branches: 0 skips a layer, and the mean of every factor is 1.

    .. math:: x + g_i f_i(x), \\quad g_i = b_i / p_i, \\quad b_i \\sim Bernoulli(p_i)

    so that nothing changes when all layers run, in evaluation or in a student that keeps them. With one rate for all
    layers this is LayerDrop, after which any layers can be left out.

    Args:
        key: Random key of the step, or of an example under `vmap`.
        rates: `p`, in [0, 1], of any shape, such as from `survival_rates`.

    Returns:
        Of the shape of `rates`, float32; for a `scan` over layers, one more of its inputs.

    Raises:
        ValueError: If a rate that is known is out of range; traced ones are not checked.

    Example:
        >>> layer_gates(jax.random.key(0), jnp.array([1.0, 0.0])).tolist()
        [1.0, 0.0]

    Source: Huang et al., arXiv:1603.09382 (huang2016); Fan et al., arXiv:1909.11556 (fan2020).
    """
    p = jnp.asarray(rates).astype(jnp.float32)
    if is_concrete(p) and (wrong := np.asarray(p)[~((p >= 0) & (p <= 1))]).size:
        raise ValueError(
            f"layer_gates: rates has {wrong.flat[0]:g}; rates are probabilities in [0, 1] that a layer runs"
        )
    return jnp.where(jax.random.bernoulli(key, p), 1.0 / jnp.where(p > 0, p, 1.0), 0.0)
