"""Features whose sums differ between classes."""

import jax
import jax.numpy as jnp

from compressjax.data._reducer import Reducer
from compressjax.data.selection._class_moments import ClassMoments, means_by_class, select_by_class
from compressjax.numerics._counts import as_float


def select_chi2(k: int, classes: int) -> Reducer:
    """Returns a reducer to the `k` features that depend most on the class, by the chi-squared statistic of their sums.

    .. math:: \\chi^2_j = \\sum_c \\frac{(O_{cj} - E_{cj})^2}{E_{cj}}, \\quad O_{cj} = \\sum_{i: y_i = c} x_{ij}, \\quad
        E_{cj} = \\frac{n_c}{n} \\sum_i x_{ij}

    For counts and frequencies: values are at least 0. Sparse rows stay sparse. A feature of zeros gets the score 0.

    Args:
        k: How many features.
        classes: Number of classes, at least 2; labels are integers from 0.

    Returns:
        Reducer of pairs (rows, labels) whose result is `Selected`, with statistics as scores.

    Raises:
        ValueError: If an argument is out of range; from `fit`, if a value is negative.

    Example:
        >>> from compressjax.data import fit
        >>> rows, labels = jnp.array([[1.0, 0.0, 1.0], [1.0, 4.0, 1.0]]), jnp.array([0, 1])
        >>> fit(select_chi2(1, 2), (rows, labels)).scores.tolist()
        [0.0, 4.0, 0.0]

    Source: Pearson, 1900; Liu and Setiono, IEEE International Conference on Tools with AI, 1995.
    """
    return select_by_class("select_chi2", k, classes, means_by_class, _statistics, low=0.0, sparse=True)


@jax.jit
def _statistics(state: ClassMoments) -> jax.Array:
    """The statistic of every feature."""
    rows = as_float(state.rows)[:, None]
    observed = rows * state.mean
    expected = rows / jnp.maximum(jnp.sum(rows), 1) * jnp.sum(observed, axis=0, keepdims=True)
    safe = jnp.where(expected > 0, expected, 1.0)
    return jnp.sum(jnp.where(expected > 0, (observed - expected) ** 2 / safe, 0.0), axis=0)
