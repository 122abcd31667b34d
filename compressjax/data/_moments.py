"""Count, mean and scatter of rows, merged without loss of digits."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from compressjax.data._gram import gram
from compressjax.numerics._counts import Count, as_float, exact, plus


class Moments(NamedTuple):
    """Statistics of rows; `scatter` is `[d, d]`, or its diagonal `[d]`.

    .. math:: n, \\quad \\mu = \\frac1n \\sum_i x_i, \\quad S = \\sum_i (x_i - \\mu)(x_i - \\mu)^\\top
    """

    rows: Count
    mean: jax.Array
    scatter: jax.Array


def no_moments(features: int, whole: bool) -> Moments:
    """The statistics of no rows."""
    shape = (features, features) if whole else (features,)
    return Moments(exact(0), jnp.zeros(features), jnp.zeros(shape))


def moments_of(x: jax.Array, whole: bool) -> Moments:
    """The statistics of rows `[n, features]`."""
    x = x.astype(jnp.float32)
    mean = jnp.mean(x, axis=0) if len(x) else jnp.zeros(x.shape[1])
    centered = x - mean[None]
    scatter = gram(centered) if whole else jnp.sum(centered**2, 0)
    return Moments(exact(len(x)), mean, scatter)


def merged(a: Moments, b: Moments) -> Moments:
    """The statistics of the rows of both.

    .. math:: S = S_a + S_b + \\frac{n_a n_b}{n_a + n_b} \\delta \\delta^\\top, \\quad \\delta = \\mu_b - \\mu_a

    Sums of squares without this correction lose all digits where means are large (Chan et al., 1983).
    """
    total = plus(a.rows, b.rows)
    n_a, n_b, n = as_float(a.rows), as_float(b.rows), jnp.maximum(as_float(total), 1)
    delta = b.mean - a.mean
    moved = (n_a * (n_b / n)) * (delta**2 if a.scatter.ndim == 1 else jnp.outer(delta, delta))
    return Moments(total, a.mean + delta * (n_b / n), a.scatter + b.scatter + moved)
