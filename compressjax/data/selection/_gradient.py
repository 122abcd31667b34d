"""Features to which a function reacts."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from compressjax.core._settings import as_int
from compressjax.data._reducer import Reads, Reducer
from compressjax.data.selection._selected import check_classes, select_by
from compressjax.numerics._counts import Count, as_float, exact, plus


class Slopes(NamedTuple):
    """Number of rows, and the mean size of slopes `[features]`."""

    rows: Count
    mean: jax.Array


def select_gradient(
    k: int, function: Callable[..., Any], *, labels: str | None = None, classes: int | None = None,
    times_input: bool = False,
) -> Reducer:  # fmt: skip
    """Returns a reducer to the `k` features with the largest mean gradient of any function, such as a model's loss.

    .. math:: s_j = \\tfrac1n \\sum_i \\left| \\frac{\\partial f(x_i)}{\\partial x_{ij}} \\right|
        \\quad\\text{or}\\quad \\tfrac1n \\sum_i \\left| x_{ij} \\frac{\\partial f(x_i)}{\\partial x_{ij}} \\right|

    Args:
        k: How many features.
        function: `x [n, features] -> [n]`, or `(x, y) -> [n]` with labels; every result depends on its own row alone.
        labels: None, "numbers" or "classes", if the function needs them.
        classes: With "classes", their number.
        times_input: Whether slopes are multiplied by the values of the features.

    Returns:
        Reducer of rows, or of pairs (rows, labels), whose result is `Selected`, with `s` as scores.

    Raises:
        ValueError: If an argument is out of range, or the function does not return one number a row.

    Example:
        >>> from compressjax.data import fit
        >>> fit(select_gradient(1, lambda x: 2 * x[:, 0] - x[:, 1]), jnp.ones((4, 3))).scores.tolist()
        [2.0, 1.0, 0.0]

    Source: Simonyan et al., arXiv:1312.6034 (simonyan2013).
    """
    who = "select_gradient"
    k = as_int(who, "k", k)
    if labels not in (None, "numbers", "classes"):
        raise ValueError(f"{who}: labels={labels!r} must be None, 'numbers' or 'classes'")

    def update(state: Slopes, batch: Any) -> Slopes:
        x, rest = (batch, ()) if labels is None else (batch[0], (batch[1],))

        def total(x: jax.Array) -> jax.Array:
            found = function(x, *rest)
            if jnp.shape(found) != (len(x),):
                raise ValueError(f"{who}: the function gives {jnp.shape(found)} for {len(x)} rows; one number a row")
            return jnp.sum(found)

        x = x.astype(jnp.float32)
        slopes = jax.grad(total)(x)
        sizes = jnp.abs(slopes * x if times_input else slopes)
        return merge(state, Slopes(exact(len(x)), jnp.mean(sizes, axis=0)))

    def merge(a: Slopes, b: Slopes) -> Slopes:
        rows = plus(a.rows, b.rows)
        share = as_float(b.rows) / jnp.maximum(as_float(rows), 1)
        return Slopes(rows, a.mean + (b.mean - a.mean) * share)

    reads = Reads(labels, check_classes(who, classes) if labels == "classes" else None)
    return Reducer(lambda features: Slopes(exact(0), jnp.zeros(features)), update, merge,
                   lambda state: select_by(state.mean, k), f"{who}({k})", reads)  # fmt: skip
