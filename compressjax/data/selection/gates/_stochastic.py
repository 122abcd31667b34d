"""Gates of a clipped normal distribution."""

from typing import Any

import jax
import jax.numpy as jnp

from compressjax.core._settings import as_int, as_number
from compressjax.data.selection.gates._gates import Gates
from compressjax.data.selection.gates._open import check_features, opened


def stochastic_gates(features: int, *, deviation: float = 0.5) -> Gates:
    """Returns gates on features with normal noise (STG).

    .. math:: z_j = clip(\\mu_j + \\sigma \\epsilon_j, 0, 1), \\quad
        E \\|z\\|_0 = \\sum_j \\Phi(\\mu_j / \\sigma)

    Every row has a draw of its own.

    Args:
        features: Number of features, at least 1.
        deviation: `sigma`, above 0.

    Returns:
        Gates whose parameters are `mu [features]`, from 0.5.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> gates = stochastic_gates(3)
        >>> gates.apply(jnp.array([2.0, 0.25, -1.0]), jnp.ones((1, 3))).tolist()
        [[1.0, 0.25, 0.0]]

    Source: Yamada et al., arXiv:1810.04247 (yamada2020).
    """
    who = "stochastic_gates"
    features = check_features(who, as_int(who, "features", features))
    if not as_number(who, "deviation", deviation) > 0:
        raise ValueError(f"{who}: deviation={deviation} must be above 0")

    def apply(params: jax.Array, x: Any, key: jax.Array | None = None) -> jax.Array:
        rows = jnp.asarray(x)
        noise = 0.0 if key is None else deviation * jax.random.normal(key, rows.shape)
        return rows * jnp.clip(params[None] + noise, 0.0, 1.0)

    def penalty(params: jax.Array) -> jax.Array:
        return jnp.sum(jax.scipy.stats.norm.cdf(params / deviation))

    return Gates(lambda key: jnp.full(features, 0.5), apply, penalty,
                 lambda params, k=None: opened(who, params, params > 0, k), who)  # fmt: skip
