"""Count, mean and scatter of rows, merged without loss of digits."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.numerics._counts import Count, as_float, exact, known, plus
from compressjax.numerics._host import on_host

_HIGH = jax.lax.Precision.HIGHEST
# A squared mean of so many variances costs three bits of the scatter without centering.
_FAR = 8


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


def moments_of(x: Any, whole: bool) -> Moments:
    """The statistics of rows `[n, features]`; outside of `jit` on the host by NumPy, without compilation.

    NumPy multiplies a matrix with itself in half of the operations; XLA has no such product.
    """
    host = on_host(x)
    xp: Any = jnp if host is None else np
    x = x.astype(jnp.float32) if host is None else host.astype(np.float32, copy=False)
    mean: Any = (jnp.mean(x, axis=0) if host is None else _mean(x)) if len(x) else xp.zeros(x.shape[1], xp.float32)
    if whole and host is not None and (found := _without_copy(x, mean)) is not None:
        return Moments(exact(len(x)), mean, found)
    centered = x - mean[None]
    if not whole:
        scatter = xp.sum(centered**2, 0)
    else:
        scatter = jnp.matmul(centered.T, centered, precision=_HIGH) if host is None else centered.T @ centered
    return Moments(exact(len(x)), mean, scatter)


def _without_copy(x: np.ndarray, mean: np.ndarray) -> Any:
    """The scatter without a centered copy of the rows; None where that costs digits, as means are far from 0."""
    some = x[:: max(1, len(x) // 256)].var(0)
    if (mean**2 > _FAR * some)[some > 0].any():
        return None
    scatter = x.T @ x - np.float32(len(x)) * np.outer(mean, mean)
    return scatter if (mean**2 * len(x) <= _FAR * np.diag(scatter)).all() else None


def _mean(x: np.ndarray) -> np.ndarray:
    """The mean of rows; NumPy adds rows one after the other, so sums of sums keep more digits."""
    whole = len(x) // 128 * 128
    blocks = x[:whole].reshape(-1, 128, x.shape[1]).sum(1).sum(0)
    return (blocks + x[whole:].sum(0)) / np.float32(len(x))


def merged(a: Moments, b: Moments) -> Moments:
    """The statistics of the rows of both.

    .. math:: S = S_a + S_b + \\frac{n_a n_b}{n_a + n_b} \\delta \\delta^\\top, \\quad \\delta = \\mu_b - \\mu_a

    Sums of squares without this correction lose all digits where means are large (Chan et al., 1983).
    """
    counts = known(a.rows), known(b.rows)
    host = [on_host(part) for part in (a.mean, a.scatter, b.mean, b.scatter)]
    if None not in counts and all(part is not None for part in host):
        return _merged_on_host(*counts, *host)
    total = plus(a.rows, b.rows)
    n_a, n_b, n = as_float(a.rows), as_float(b.rows), jnp.maximum(as_float(total), 1)
    delta = b.mean - a.mean
    moved = (n_a * (n_b / n)) * (delta**2 if a.scatter.ndim == 1 else jnp.outer(delta, delta))
    return Moments(total, a.mean + delta * (n_b / n), a.scatter + b.scatter + moved)


def _merged_on_host(n_a: Any, n_b: Any, mean_a: Any, scatter_a: Any, mean_b: Any, scatter_b: Any) -> Moments:
    delta, share = mean_b - mean_a, np.float32(n_b / max(n_a + n_b, 1))
    moved = np.float32(n_a * (n_b / max(n_a + n_b, 1))) * (delta**2 if scatter_a.ndim == 1 else np.outer(delta, delta))
    return Moments(exact(n_a + n_b), mean_a + delta * share, scatter_a + scatter_b + moved)
