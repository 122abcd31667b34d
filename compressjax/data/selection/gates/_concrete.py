"""A layer that learns which features to read."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.core._settings import as_int, as_number
from compressjax.data.selection._selected import Selected
from compressjax.data.selection.gates._gates import Gates
from compressjax.data.selection.gates._open import check_features


def concrete_selector(features: int, k: int, *, temperature: float = 0.5) -> Gates:
    """Returns a layer of `k` soft choices of one feature each, which harden to `k` features (concrete autoencoder).

    .. math:: z_i = x^\\top softmax\\left( \\frac{\\alpha_i + g_i}{T} \\right), \\quad g_{ij} = -\\ln(-\\ln u_{ij})

    Without a key every choice reads its likeliest feature. Two choices may agree; the selection then has fewer
    features. The penalty is 0, because `k` is given. Scores are the highest probability of a feature among choices.

    Args:
        features: Number of features, at least 1.
        k: Number of choices, in [1, features].
        temperature: `T`, above 0; `apply` takes another one, to lower it during training: from 10 to 0.1 in the paper.

    Returns:
        Gates whose parameters are `alpha [k, features]`; `apply(params, x, key=None, temperature=T)` gives `[n, k]`.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> selector = concrete_selector(3, 2)
        >>> selector.apply(jnp.array([[0.0, 5.0, 0.0], [9.0, 0.0, 0.0]]), jnp.array([[1.0, 2.0, 3.0]])).tolist()
        [[2.0, 1.0]]

    Source: Balin, Abid and Zou, arXiv:1901.09346 (balin2019).
    """
    who = "concrete_selector"
    features, k = check_features(who, as_int(who, "features", features)), as_int(who, "k", k)
    if not 1 <= k <= features or not as_number(who, "temperature", temperature) > 0:
        raise ValueError(f"{who}: k={k} must be in [1, {features}] and temperature={temperature} above 0")

    def apply(params: jax.Array, x: Any, key: jax.Array | None = None, temperature: Any = temperature) -> jax.Array:
        rows = jnp.asarray(x)
        if key is None:
            return rows[:, jnp.argmax(params, axis=1)]
        weights = jax.nn.softmax((params + jax.random.gumbel(key, params.shape)) / temperature, axis=1)
        return jnp.matmul(rows, weights.T, precision=jax.lax.Precision.HIGHEST)

    def select(params: jax.Array, k: int | None = None) -> Selected:
        if k is not None:
            raise ValueError(f"{who}: the number of choices was given when the selector was made; drop k={k}")
        places = np.unique(np.argmax(np.asarray(params), axis=1))
        return Selected(jnp.asarray(places, jnp.int32), jnp.max(jax.nn.softmax(params, axis=1), axis=0))

    return Gates(lambda key: 0.01 * jax.random.normal(key, (k, features)), apply, lambda params: jnp.zeros(()), select,
                 who)  # fmt: skip
