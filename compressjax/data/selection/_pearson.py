"""Features that move with a number, along a line."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from compressjax.core._settings import as_int
from compressjax.data._moments import Moments, merged, moments_of, no_moments
from compressjax.data._reducer import Reads, Reducer
from compressjax.data.selection._checks import check_numbers
from compressjax.data.selection._selected import Selected, select_by
from compressjax.numerics._counts import as_float


class Paired(NamedTuple):
    """Moments of the features and the label, which comes last, and the products of both, `[features]`."""

    moments: Moments
    cross: jax.Array


def select_pearson(k: int) -> Reducer:
    """Returns a reducer to the `k` features with the largest linear correlation to a number, whatever its sign.

    .. math:: r_j = \\frac{\\sum_i (x_{ij} - \\mu_j)(y_i - \\nu)}
        {\\sqrt{\\sum_i (x_{ij} - \\mu_j)^2 \\sum_i (y_i - \\nu)^2}}

    A constant feature gets the score 0.

    Args:
        k: How many features.

    Returns:
        Reducer of pairs (rows, numbers) whose result is `Selected`, with `|r|` as scores.

    Raises:
        ValueError: If `k` is out of range.

    Example:
        >>> from compressjax.data import fit
        >>> rows = jnp.array([[1.0, 5.0], [2.0, 9.0], [3.0, 5.0]])
        >>> fit(select_pearson(1), (rows, jnp.array([3.0, 2.0, 1.0]))).scores.tolist()
        [1.0, 0.0]

    Source: Pearson, 1895; mergeable moments, Chan et al., 1983.
    """
    k = as_int("select_pearson", "k", k)

    def update(state: Paired, batch: tuple[jax.Array, jax.Array]) -> Paired:
        z = jnp.concatenate([batch[0].astype(jnp.float32), batch[1][:, None]], axis=1)
        found = moments_of(z, whole=False)
        moved = z - found.mean[None]
        cross = jnp.matmul(moved[:, :-1].T, moved[:, -1], precision=jax.lax.Precision.HIGHEST)
        return merge(state, Paired(found, cross))

    def merge(a: Paired, b: Paired) -> Paired:
        total = merged(a.moments, b.moments)
        delta = b.moments.mean - a.moments.mean
        share = as_float(b.moments.rows) / jnp.maximum(as_float(total.rows), 1)
        return Paired(total, a.cross + b.cross + as_float(a.moments.rows) * share * delta[:-1] * delta[-1])

    def finalize(state: Paired) -> Selected:
        check_numbers("select_pearson", state.moments, 1)
        return select_by(_correlations(state), k)

    return Reducer(lambda features: Paired(no_moments(features + 1, whole=False), jnp.zeros(features)), update, merge,
                   finalize, f"select_pearson({k})", Reads("numbers"))  # fmt: skip


@jax.jit
def _correlations(state: Paired) -> jax.Array:
    """The absolute correlation of every feature."""
    _, mean, scatter = state.moments
    # Rounding of a constant feature leaves a variance of about eps^2 mean^2.
    least = as_float(state.moments.rows) * (10 * jnp.finfo(jnp.float32).eps * mean) ** 2
    varies = (scatter > least)[:-1] & (scatter > least)[-1]
    product = jnp.where(varies, jnp.sqrt(scatter[:-1]) * jnp.sqrt(scatter[-1]), 1.0)
    return jnp.where(varies, jnp.minimum(jnp.abs(state.cross) / product, 1.0), 0.0)
