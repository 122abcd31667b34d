"""Features that move with a number, in order."""

import jax
import numpy as np
from scipy.stats import rankdata

from compressjax.data._reducer import Reads, Reducer
from compressjax.data.selection._sampled import by_sample


def select_spearman(k: int, *, rows: int = 10_000, key: jax.Array | None = None) -> Reducer:
    """Returns a reducer to the `k` features with the largest rank correlation to a number, whatever its sign.

    .. math:: \\rho_j = r(\\text{rank}(x_{\\cdot j}), \\text{rank}(y))

    It sees any monotone relation. Ties get their mean rank; a constant feature gets the score 0. The error of a
    sample of `n` rows is about `1 / sqrt(n)`.

    Args:
        k: How many features.
        rows: Size of the sample that is ranked, at least 4; up to so many rows the result is exact.
        key: Random key of the sample; None for `jax.random.key(0)`.

    Returns:
        Reducer of pairs (rows, numbers) whose result is `Selected`, with `|rho|` as scores.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> import numpy as np
        >>> from compressjax.data import fit
        >>> rows = np.array([[1.0, 5.0], [2.0, 9.0], [30.0, 9.0], [31.0, 5.0]])
        >>> fit(select_spearman(1, rows=4), (rows, np.array([1.0, 2.0, 3.0, 4.0]))).scores.tolist()
        [1.0, 0.0]

    Source: Spearman, American Journal of Psychology, 1904.
    """
    return by_sample("select_spearman", k, rows, key, Reads("numbers"), rank_correlations)


def rank_correlations(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Absolute correlations of ranks, 0 for constant columns."""
    ranks = rankdata(x, axis=0) - (len(x) + 1) / 2
    own = rankdata(y) - (len(y) + 1) / 2
    sizes = np.sqrt((ranks**2).sum(0) * (own**2).sum())
    return np.abs(own @ ranks) / np.where(sizes > 0, sizes, 1)
