"""Features that a sparse model keeps in most halves of the rows."""

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.core._settings import as_number, integers
from compressjax.data._reducer import Reducer
from compressjax.data._sample import Sample, joined, no_sample, rows_in, sampled
from compressjax.data.selection._block_lasso import block_lasso
from compressjax.data.selection._joint import reads_of, targets
from compressjax.data.selection._selected import Selected, select_by


def select_stable(
    penalty: float, *, threshold: float = 0.6, k: int | None = None, halves: int = 100, classes: int | None = None,
    rows: int = 10_000, key: jax.Array | None = None,
) -> Reducer:  # fmt: skip
    """Returns a reducer to the features that the lasso keeps in a share of random halves of the rows.

    .. math:: \\hat\\pi_j = \\tfrac1B \\sum_b 1[w_j(\\text{half } b) \\ne 0] \\ge \\pi, \\quad
        E[V] \\le \\frac{q^2}{(2 \\pi - 1)\\, p}

    `V` counts wrong features among `p`, `q` those that one half keeps on average. Halves come in complementary pairs.
    Columns are standardized. `finalize` does not run under `jit`.

    Args:
        penalty: That of the lasso, above 0, for deviation 1.
        threshold: `pi`, in (0.5, 1]; ignored with `k`.
        k: How many features, the most frequent; None for all above the threshold.
        halves: `B`, even, at least 2.
        classes: Number of classes, at least 2; None for labels that are numbers.
        rows: Size of the sample that is halved, at least 4; up to so many rows all are used.
        key: Random key of the sample and of the halves; None for `jax.random.key(0)`.

    Returns:
        Reducer of pairs (rows, labels) whose result is `Selected`, with frequencies as scores.

    Raises:
        ValueError: If an argument is out of range; from `fit`, if no feature is frequent enough.

    Example:
        >>> from compressjax.data import fit
        >>> rows = jnp.array([[1.0, 1.0], [-1.0, 1.0], [1.0, -1.0], [-1.0, -1.0]] * 2)
        >>> fit(select_stable(0.3, halves=4, rows=8), (rows, rows[:, 0])).places.tolist()
        [0]

    Source: Meinshausen and Buehlmann, JRSS B 2010, arXiv:0809.2932 (meinshausen2010); complementary pairs, Shah and
        Samworth, JRSS B 2013, arXiv:1105.5578 (shah2013).
    """
    who = "select_stable"
    k, rows, halves = integers(who, k=k, rows=rows, halves=halves)
    if not as_number(who, "penalty", penalty) > 0 or not 0.5 < as_number(who, "threshold", threshold) <= 1:
        raise ValueError(f"{who}: penalty={penalty} must be above 0 and threshold={threshold} in (0.5, 1]")
    if halves < 2 or halves % 2 or rows < 4:
        raise ValueError(f"{who}: halves={halves} must be even, at least 2, and rows={rows} at least 4")
    base = jax.random.key(0) if key is None else key

    def finalize(state: Sample) -> Selected:
        x, y = rows_in(state)
        if len(x) < 4 or (y == y[0]).all():
            raise ValueError(f"{who}: all {len(y)} labels are equal, or they are too few; it takes 4 rows whose labels "
                             "differ")  # fmt: skip
        order = np.lexsort((np.einsum("ij,j->i", x, np.sqrt(np.arange(2, x.shape[1] + 2))), y))
        kept = frequencies(x[order], y[order], penalty, halves, classes, base)
        if k is not None:
            return select_by(kept, k)
        places = np.flatnonzero(kept >= threshold)
        if not len(places):
            raise ValueError(f"{who}: no feature is kept in {threshold:.0%} of the halves, the most frequent in "
                             f"{kept.max():.0%}; lower the penalty={penalty}, or give k")  # fmt: skip
        return Selected(jnp.asarray(places, jnp.int32), jnp.asarray(kept, jnp.float32))

    return Reducer(lambda features: no_sample(rows, features, base), lambda state, batch: sampled(state, *batch),
                   joined, finalize, f"{who}({penalty})", reads_of(who, classes))  # fmt: skip


def frequencies(
    x: np.ndarray, y: np.ndarray, penalty: float, halves: int, classes: int | None, key: jax.Array
) -> np.ndarray:  # fmt: skip
    """How often every feature has a coefficient, among halves of the rows."""
    deviation = x.std(0)
    x = (x - x.mean(0)) / np.where(deviation > 0, deviation, 1)
    half = len(x) // 2
    order = np.asarray(jax.vmap(lambda k: jax.random.permutation(k, len(x)))(jax.random.split(key, halves // 2)))
    places = np.concatenate([order[:, :half], order[:, half : 2 * half]])
    own = targets(jnp.asarray(y, jnp.int32 if classes else jnp.float32), classes)
    return np.asarray(_kept(jnp.asarray(x, jnp.float32), own, jnp.asarray(places), penalty)).mean(0)


@jax.jit
def _kept(x: jax.Array, y: jax.Array, places: jax.Array, penalty: float) -> jax.Array:
    groups = np.arange(x.shape[1])

    def one(some: jax.Array) -> jax.Array:
        a, b = x[some] - x[some].mean(0, keepdims=True), y[some] - y[some].mean(0, keepdims=True)
        high = jax.lax.Precision.HIGHEST
        gram, cross = jnp.matmul(a.T, a, precision=high), jnp.matmul(a.T, b, precision=high)
        w = block_lasso(gram / len(some), cross / len(some), groups, penalty, np.ones(len(groups)))
        return jnp.any(w != 0, axis=1)

    return jax.lax.map(one, places)
