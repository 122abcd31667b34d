"""Features in a fixed range."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from compressjax.core._settings import numbers
from compressjax.data._reducer import Reducer
from compressjax.data.scaling._scaling import Scaling


class Range(NamedTuple):
    """Least and greatest value of every feature."""

    low: jax.Array
    high: jax.Array


def min_max_scaler(low: float = 0.0, high: float = 1.0) -> Reducer:
    """Returns a reducer that maps the range of every feature to one range.

    .. math:: z = low + (high - low) \\frac{x - \\min x}{\\max x - \\min x}

    A constant feature goes to `low`.

    Args:
        low: Lower end.
        high: Upper end, above `low`.

    Returns:
        Reducer whose result is a `Scaling`.

    Raises:
        ValueError: If the range is empty.

    Example:
        >>> from compressjax.data import fit
        >>> fit(min_max_scaler(), jnp.array([[2.0], [6.0]])).transform(jnp.array([[3.0]])).tolist()
        [[0.25]]
    """
    low, high = numbers("min_max_scaler", low=low, high=high)
    if not low < high:
        raise ValueError(f"min_max_scaler: low={low} must be below high={high}")

    def init(features: int) -> Range:
        return Range(jnp.full(features, jnp.inf), jnp.full(features, -jnp.inf))

    def update(state: Range, x: jax.Array) -> Range:
        rows = x.astype(jnp.float32)
        found = Range(jnp.min(rows, axis=0, initial=jnp.inf), jnp.max(rows, axis=0, initial=-jnp.inf))
        return merge(state, found)

    def merge(a: Range, b: Range) -> Range:
        return Range(jnp.minimum(a.low, b.low), jnp.maximum(a.high, b.high))

    def finalize(state: Range) -> Scaling:
        width = state.high - state.low
        scale = jnp.where(width > 0, width, 1.0) / (high - low)
        return Scaling(state.low - low * scale, scale)

    return Reducer(init, update, merge, finalize, "min_max_scaler")
