"""Gates of the hard concrete distribution."""

import math
from typing import Any

import jax
import jax.numpy as jnp

from compressjax.core._settings import as_int, as_number
from compressjax.data.selection.gates._gates import Gates
from compressjax.data.selection.gates._open import check_features, opened
from compressjax.numerics._hard_concrete import expected_l0, final_gate, hard_concrete


def hard_concrete_gates(features: int, *, keep: float = 0.9) -> Gates:
    """Returns gates on features by L0 regularization.

    .. math:: z = clip\\left( \\sigma\\left( \\frac{\\ln u - \\ln(1 - u) + a}{\\beta} \\right) (\\zeta - \\gamma) +
        \\gamma, 0, 1 \\right), \\quad E \\|z\\|_0 = \\sum_j \\sigma(a_j - \\beta \\ln(-\\gamma / \\zeta))

    A batch shares one draw.

    Args:
        features: Number of features, at least 1.
        keep: Gates start at `sigmoid(a) = keep`, in (0, 1).

    Returns:
        Gates whose parameters are `a [features]`.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> gates = hard_concrete_gates(2)
        >>> gates.apply(jnp.array([9.0, -9.0]), jnp.ones((1, 2))).tolist()
        [[1.0, 0.0]]

    Source: Louizos et al., arXiv:1712.01312 (louizos2018).
    """
    who = "hard_concrete_gates"
    features = check_features(who, as_int(who, "features", features))
    if not 0 < as_number(who, "keep", keep) < 1:
        raise ValueError(f"{who}: keep={keep} must be in (0, 1)")

    def apply(params: jax.Array, x: Any, key: jax.Array | None = None) -> jax.Array:
        if key is None:
            return jnp.asarray(x) * final_gate(params)[None]
        u = jax.random.uniform(key, params.shape, minval=1e-6, maxval=1 - 1e-6)
        return jnp.asarray(x) * hard_concrete(params, u)[None]

    def init(key: jax.Array) -> jax.Array:
        return math.log(keep / (1 - keep)) + 0.01 * jax.random.normal(key, (features,))

    # Only below 0 does the order of gates that are closed for good show in `a`.
    return Gates(init, apply, expected_l0, lambda params, k=None: opened(who, params, final_gate(params) > 0, k), who)
