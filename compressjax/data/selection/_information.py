"""Features that tell most about the class, from counts."""

from typing import Any

import jax
import jax.numpy as jnp

from compressjax.core._settings import as_int
from compressjax.data._reducer import Reducer
from compressjax.data.selection._checks import check_class_counts
from compressjax.data.selection._contingency import binned, check_bins, counted, information, reads_bins
from compressjax.data.selection._selected import Selected, check_classes, select_by


def select_information(
    k: int, classes: int, *, bins: int = 2, edges: Any = None, ratio: bool = False
) -> Reducer:  # fmt: skip
    """Returns a reducer to the `k` features with the largest information gain, or gain ratio, about the class.

    .. math:: I_j = \\sum_{b, c} p_{bc} \\ln \\frac{p_{bc}}{p_b p_c}, \\quad
        R_j = \\frac{I_j}{-\\sum_b p_b \\ln p_b}

    The gain is the mutual information of relative frequencies. It favors features of many values; the ratio does not.
    Exact in one pass, with memory `features bins classes`. A constant feature gets the score 0.

    Args:
        k: How many features.
        classes: Number of classes, at least 2; labels are integers from 0.
        bins: Number of values of a feature, which are `0, ..., bins - 1` (fractions are cut off).
        edges: Inner edges of bins for other values, ascending, `[bins - 1]` for all features or
            `[features, bins - 1]`; instead of `bins`.
        ratio: Whether to divide by the entropy of the feature, as C4.5 does.

    Returns:
        Reducer of pairs (rows, labels) whose result is `Selected`, with nats or ratios as scores.

    Raises:
        ValueError: If an argument is out of range; from `fit`, if a value is outside of the bins.

    Example:
        >>> from compressjax.data import fit
        >>> rows, labels = jnp.array([[0, 0], [0, 1], [1, 0], [1, 1]]), jnp.array([0, 0, 1, 1])
        >>> fit(select_information(1, 2), (rows, labels)).scores.round(4).tolist()
        [0.6930999755859375, 0.0]

    Source: Quinlan, Machine Learning, 1986; C4.5, 1993.
    """
    who = "select_information"
    k, classes, count = as_int(who, "k", k), check_classes(who, classes), check_bins(who, bins, edges)

    def update(state: jax.Array, batch: tuple[jax.Array, jax.Array]) -> jax.Array:
        return state + counted(binned(batch[0], edges), batch[1], count, classes)

    def finalize(state: jax.Array) -> Selected:
        check_class_counts(who, jnp.sum(state[0], axis=0))
        gain, entropy = information(state)
        return select_by(gain / jnp.where(entropy > 0, entropy, 1.0) if ratio else gain, k)

    return Reducer(lambda features: jnp.zeros((features, count, classes), jnp.int32), update,
                   lambda a, b: a + b, finalize, f"{who}({k})", reads_bins(classes, count, edges))  # fmt: skip
