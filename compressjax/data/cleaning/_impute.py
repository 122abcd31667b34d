"""Values in the place of missing ones."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.core._settings import as_int, as_number
from compressjax.data._quantiles import Sketch, quantiles
from compressjax.data._reducer import Reads, Reducer
from compressjax.data._sample import Sample, joined, no_sample, rows_in, sampled
from compressjax.data.scaling._robust import by_sketch
from compressjax.numerics._counts import Count, as_float, exact, plus


class Fill(NamedTuple):
    """The map from missing values to one value a feature, `values [features]`."""

    values: jax.Array

    def transform(self, x: Any) -> jax.Array:
        """Rows without missing values."""
        rows = jnp.asarray(x, jnp.float32)
        return jnp.where(jnp.isnan(rows), self.values[None], rows)


class Present(NamedTuple):
    """How many values of every feature are there, and their mean, both `[features]`."""

    rows: Count
    mean: jax.Array


def impute(
    strategy: str = "mean", *, fill: float | Sequence[float] = 0.0, rows: int = 10_000, size: int = 1024,
    key: jax.Array | None = None,
) -> Reducer:  # fmt: skip
    """Returns a reducer that puts one value a feature in the place of missing ones (NaN).

    .. math:: z_{ij} = x_{ij} \\text{ if present, else } v_j

    Means are exact in one pass. Medians come from the sketch of `robust_scaler`: exact up to `size` rows, ranks then
    wrong by at most `log2(n / size) / (2 size)`. The most frequent value is that of a sample, exact up to `rows` rows;
    of equally frequent ones the least. The last two do not run under `jit`.

    Args:
        strategy: "mean", "median", "most_frequent" or "constant".
        fill: Value, or one a feature, of "constant".
        rows: Size of the sample of "most_frequent", at least 1.
        size: Values that a run of the sketch of "median" holds, at least 8.
        key: Random key of the sample; None for `jax.random.key(0)`.

    Returns:
        Reducer whose result is `Fill`.

    Raises:
        ValueError: If an argument is unknown or out of range; from `fit`, if a column has no value.

    Example:
        >>> from compressjax.data import fit
        >>> rows = np.array([[1.0, 5.0], [np.nan, 7.0], [3.0, np.nan]])
        >>> fit(impute(), rows).transform(rows).tolist()
        [[1.0, 5.0], [2.0, 7.0], [3.0, 6.0]]
    """
    who = "impute"
    if strategy == "mean":
        return Reducer(_no_values, _with_values, _joined_values, _means, "impute(mean)", Reads(missing=True))
    if strategy == "median":
        parts = by_sketch(who, size)
        return Reducer(*parts, _medians, "impute(median)", Reads(missing=True))
    if strategy == "most_frequent":
        if as_int(who, "rows", rows) < 1:
            raise ValueError(f"{who}: rows={rows} must be at least 1")
        base = jax.random.key(0) if key is None else key
        return Reducer(lambda features: no_sample(int(rows), features, base), sampled, joined, _modes,
                       "impute(most_frequent)", Reads(missing=True))  # fmt: skip
    if strategy == "constant":
        values = np.asarray([as_number(who, "fill", x) for x in np.ravel(fill)], np.float32)

        def init(features: int) -> jax.Array:
            if len(values) not in (1, features):
                raise ValueError(f"{who}: fill has {len(values)} values for {features} features")
            return jnp.broadcast_to(jnp.asarray(values), (features,))

        return Reducer(init, lambda state, x: state, lambda a, b: a, Fill, "impute(constant)", Reads(missing=True))
    raise ValueError(f"{who}: strategy={strategy!r} must be 'mean', 'median', 'most_frequent' or 'constant'")


def check_columns(who: str, counts: Any) -> None:
    """Raises if a column has no value; counts that are not known yet pass."""
    if isinstance(counts, jax.core.Tracer):
        return
    if len(empty := np.flatnonzero(np.asarray(counts) == 0)):
        raise ValueError(f"{who}: column {empty[0]} has no value in any row; drop it, or impute a constant")


def _no_values(features: int) -> Present:
    return Present(exact(jnp.zeros(features, jnp.int32)), jnp.zeros(features))


def _with_values(state: Present, x: jax.Array) -> Present:
    there = ~jnp.isnan(x)
    counts = jnp.sum(there, axis=0, dtype=jnp.int32)
    # Sums of differences from some value of the column keep their digits where means are large.
    first = jnp.where(there[0], x[0], 0.0) if len(x) else jnp.zeros(x.shape[1])
    sums = jnp.sum(jnp.where(there, x - first[None], 0.0), axis=0)
    return _joined_values(state, Present(exact(counts), first + sums / jnp.maximum(counts, 1)))


def _joined_values(a: Present, b: Present) -> Present:
    rows = plus(a.rows, b.rows)
    share = as_float(b.rows) / jnp.maximum(as_float(rows), 1)
    return Present(rows, a.mean + (b.mean - a.mean) * share)


def _means(state: Present) -> Fill:
    check_columns("impute", as_float(state.rows))
    return Fill(state.mean)


def _medians(state: Sketch) -> Fill:
    found = quantiles(state, np.array([0.5]), "impute")[0]
    check_columns("impute", ~np.isnan(found))
    return Fill(jnp.asarray(found, jnp.float32))


def _modes(state: Sample) -> Fill:
    x, _ = rows_in(state)
    check_columns("impute", (~np.isnan(x)).sum(0))
    values = []
    for column in x.T:
        kinds, counts = np.unique(column[~np.isnan(column)], return_counts=True)
        values.append(kinds[counts.argmax()])
    return Fill(jnp.asarray(values, jnp.float32))
