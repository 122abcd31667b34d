"""Missing values from the other features of their row."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.core._settings import as_int, numbers
from compressjax.data._reducer import Reads, Reducer
from compressjax.data._sample import Sample, joined, no_sample, rows_in, sampled
from compressjax.data.cleaning._impute import check_columns


class Regressions(NamedTuple):
    """A linear model of every feature from the others, for every round.

    Attributes:
        values: `[features]`, what missing values are at first.
        weights: `[rounds, features, features]`; row `j` predicts feature `j` and has 0 in its own place.
        offsets: `[rounds, features]`.
    """

    values: jax.Array
    weights: jax.Array
    offsets: jax.Array

    def transform(self, x: Any) -> jax.Array:
        """Rows without missing values."""
        rows = jnp.asarray(x, jnp.float32)
        missing = jnp.isnan(rows)

        def turn(rows: jax.Array, model: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, None]:
            def one(j: Any, rows: jax.Array) -> jax.Array:
                guess = jnp.matmul(rows, model[0][j], precision=jax.lax.Precision.HIGHEST) + model[1][j]
                return rows.at[:, j].set(jnp.where(missing[:, j], guess, rows[:, j]))

            return jax.lax.fori_loop(0, rows.shape[1], one, rows), None

        start = jnp.where(missing, self.values[None], rows)
        found: jax.Array = jax.lax.scan(turn, start, (self.weights, self.offsets))[0]
        return found


def impute_iterative(
    *, rounds: int = 10, ridge: float = 1e-3, tolerance: float = 1e-3, rows: int = 10_000, key: jax.Array | None = None
) -> Reducer:  # fmt: skip
    """Returns a reducer that predicts missing values from the other features, feature by feature, in rounds.

    .. math:: x_{ij} \\leftarrow w_j^\\top x_{i, -j} + b_j, \\quad
        (w_j, b_j) = \\arg\\min \\sum_{i:\\, x_{ij} \\text{ present}} (x_{ij} - w^\\top x_{i, -j} - b)^2 +
        \\lambda \\|w\\|^2

    Missing values start at the mean. Rounds end when no value moves by more than the tolerance, relative to the
    largest value of the data. `finalize` does not run under `jit`.

    Args:
        rounds: At least 1.
        ridge: `lambda`, at least 0.
        tolerance: At least 0.
        rows: Size of the sample that models are fitted on, at least 2; up to so many rows all are used.
        key: Random key of the sample; None for `jax.random.key(0)`.

    Returns:
        Reducer whose result is `Regressions`.

    Raises:
        ValueError: If an argument is out of range; from `fit`, if a column has no value.

    Example:
        >>> from compressjax.data import fit
        >>> rows = np.array([[1.0, 2.0], [2.0, 4.0], [3.0, 6.0], [4.0, np.nan]])
        >>> fit(impute_iterative(ridge=0.0, rows=4), rows).transform(rows)[3].round(3).tolist()
        [4.0, 8.0]

    Source: van Buuren and Groothuis-Oudshoorn, Journal of Statistical Software, 2011.
    """
    who = "impute_iterative"
    rounds, rows = as_int(who, "rounds", rounds), as_int(who, "rows", rows)
    ridge, tolerance = numbers(who, ridge=ridge, tolerance=tolerance)
    if rounds < 1 or rows < 2 or ridge < 0 or tolerance < 0:
        raise ValueError(f"{who}: rounds={rounds} must be at least 1, rows={rows} 2, ridge={ridge} and "
                         f"tolerance={tolerance} 0")  # fmt: skip
    base = jax.random.key(0) if key is None else key

    def finalize(state: Sample) -> Regressions:
        x, _ = rows_in(state)
        missing = np.isnan(x)
        check_columns(who, (~missing).sum(0))
        values = np.nanmean(x, axis=0)
        size = float(np.nanmax(np.abs(x)))
        filled, weights, offsets = np.where(missing, values, x), [], []
        for _ in range(rounds):
            before = filled.copy()
            models = [_model(filled, missing, j, ridge) for j in range(x.shape[1])]
            weights.append([weight for weight, _ in models])
            offsets.append([offset for _, offset in models])
            if np.abs(filled - before).max() <= tolerance * size:
                break
        return Regressions(jnp.asarray(values, jnp.float32), jnp.asarray(np.array(weights), jnp.float32),
                           jnp.asarray(np.array(offsets), jnp.float32))  # fmt: skip

    return Reducer(lambda features: no_sample(rows, features, base), sampled, joined, finalize, who,
                   Reads(missing=True))  # fmt: skip


def _model(filled: np.ndarray, missing: np.ndarray, j: int, ridge: float) -> tuple[np.ndarray, float]:
    """Ridge regression of a feature on the others; puts its guesses in the place of what is missing."""
    there = ~missing[:, j]
    others = np.delete(np.arange(filled.shape[1]), j)
    a, b = filled[np.ix_(there, others)], filled[there, j]
    middle, mean = a.mean(0), b.mean()
    gram = (a - middle).T @ (a - middle) + ridge * np.eye(len(others))
    own = np.linalg.lstsq(gram, (a - middle).T @ (b - mean), rcond=None)[0]
    weight = np.zeros(filled.shape[1])
    weight[others] = own
    offset = float(mean - middle @ own)
    filled[missing[:, j], j] = filled[missing[:, j]] @ weight + offset
    return weight, offset
