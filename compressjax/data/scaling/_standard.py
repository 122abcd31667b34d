"""Features of mean 0 and deviation 1."""

import jax.numpy as jnp

from compressjax.data._moments import Moments, merged, moments_of, no_moments
from compressjax.data._reducer import Reducer
from compressjax.data.scaling._scaling import Scaling
from compressjax.numerics._counts import as_float


def standard_scaler(*, mean: bool = True, deviation: bool = True) -> Reducer:
    """Returns a reducer that gives every feature the mean 0 and the standard deviation 1.

    .. math:: z = \\frac{x - \\mu}{\\sigma}, \\quad \\sigma^2 = \\tfrac1n \\sum_i (x_i - \\mu)^2

    A constant feature keeps the scale 1.

    Args:
        mean: Whether to take out the mean.
        deviation: Whether to divide by the deviation.

    Returns:
        Reducer whose result is a `Scaling`.

    Example:
        >>> from compressjax.data import fit
        >>> fit(standard_scaler(), jnp.array([[0.0, 5.0], [2.0, 5.0]])).transform(jnp.array([[4.0, 5.0]])).tolist()
        [[3.0, 0.0]]

    Source: mergeable moments, Chan et al., The American Statistician, 1983.
    """

    def finalize(state: Moments) -> Scaling:
        variance = state.scatter / jnp.maximum(as_float(state.rows), 1)
        # Rounding of a constant feature leaves a variance of about eps^2 mean^2.
        constant = variance <= (10 * jnp.finfo(jnp.float32).eps * state.mean) ** 2
        scale = jnp.where(constant, 1.0, jnp.sqrt(jnp.where(constant, 1.0, variance)))
        shift = state.mean if mean else jnp.zeros_like(state.mean)
        return Scaling(shift, scale if deviation else jnp.ones_like(scale))

    return Reducer(
        lambda features: no_moments(features, whole=False),
        lambda state, x: merged(state, moments_of(x, whole=False)),
        merged,
        finalize,
        "standard_scaler",
    )
