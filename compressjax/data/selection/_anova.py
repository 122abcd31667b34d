"""Features whose means differ between classes."""

import jax
import jax.numpy as jnp

from compressjax.data._reducer import Reducer
from compressjax.data.selection._class_moments import ClassMoments, between_and_within, by_class, select_by_class
from compressjax.numerics._counts import as_float


def select_anova(k: int, classes: int) -> Reducer:
    """Returns a reducer to the `k` features whose means differ most between classes, by the F statistic.

    .. math:: F_j = \\frac{\\sum_c n_c (\\mu_{cj} - \\mu_j)^2 / (C - 1)}
        {\\sum_c \\sum_{i: y_i = c} (x_{ij} - \\mu_{cj})^2 / (n - C)}

    `C` counts the classes that occur. A constant feature gets the score 0, one that is constant in every class
    infinity.

    Args:
        k: How many features.
        classes: Number of classes, at least 2; labels are integers from 0.

    Returns:
        Reducer of pairs (rows, labels) whose result is `Selected`, with statistics as scores.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> from compressjax.data import fit
        >>> rows = jnp.array([[0.0, 0.0], [2.0, 1.0], [4.0, 0.0], [6.0, 1.0]])
        >>> fit(select_anova(1, 2), (rows, jnp.array([0, 0, 1, 1]))).scores.tolist()
        [8.0, 0.0]

    Source: Fisher, Statistical Methods for Research Workers, 1925.
    """
    return select_by_class("select_anova", k, classes, by_class, _statistics)


@jax.jit
def _statistics(state: ClassMoments) -> jax.Array:
    """The statistic of every feature."""
    rows = as_float(state.rows)
    between, within = between_and_within(state)
    there, total = jnp.sum(rows > 0), jnp.sum(rows)
    inside = within / jnp.maximum(total - there, 1)
    outside = between / jnp.maximum(there - 1, 1)
    ratio = outside / jnp.where(inside > 0, inside, 1.0)
    return jnp.where(inside > 0, ratio, jnp.where(outside > 0, jnp.inf, 0.0))
