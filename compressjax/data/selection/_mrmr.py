"""Features that tell much about the class and little about each other."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.core._settings import as_int
from compressjax.data._reducer import Reducer
from compressjax.data.selection._checks import check_class_counts
from compressjax.data.selection._contingency import binned, check_bins, information, reads_bins
from compressjax.data.selection._selected import Selected, check_classes


def select_mrmr(
    k: int, classes: int, *, bins: int = 2, edges: Any = None, scheme: str = "difference"
) -> Reducer:  # fmt: skip
    """Returns a reducer to `k` features of maximal relevance and minimal redundancy, found greedily.

    .. math:: j_{s+1} = \\arg\\max_j\\; I(x_j; y) - \\tfrac1s \\sum_{t \\le s} I(x_j; x_{j_t})
        \\quad\\text{or the quotient}

    Exact in one pass, with memory `(features bins)^2`: all pairs of features are counted. `finalize` does not run under
    `jit`.

    Args:
        k: How many features.
        classes: Number of classes, at least 2; labels are integers from 0.
        bins: Number of values of a feature, which are `0, ..., bins - 1` (fractions are cut off).
        edges: Inner edges of bins for other values, ascending, `[bins - 1]` for all features or
            `[features, bins - 1]`; instead of `bins`.
        scheme: "difference" (MID) or "quotient" (MIQ).

    Returns:
        Reducer of pairs (rows, labels) whose result is `Selected`; scores are `features - s` for the feature that
        comes at step `s`, and 0 for the others.

    Raises:
        ValueError: If an argument is out of range; from `fit`, if a value is outside of the bins.

    Example:
        >>> from compressjax.data import fit
        >>> rows = jnp.array([[0, 0, 0], [0, 0, 1], [1, 1, 0], [1, 1, 1]] * 2)
        >>> labels = jnp.array([0, 0, 1, 1, 0, 1, 1, 1])
        >>> fit(select_mrmr(2, 2), (rows, labels)).places.tolist()
        [0, 2]

    Source: Peng, Long and Ding, IEEE TPAMI, 2005; Ding and Peng, 2003.
    """
    who = "select_mrmr"
    k, classes, count = as_int(who, "k", k), check_classes(who, classes), check_bins(who, bins, edges)
    if scheme not in ("difference", "quotient"):
        raise ValueError(f"{who}: scheme={scheme!r} must be 'difference' or 'quotient'")

    def update(state: jax.Array, batch: tuple[jax.Array, jax.Array]) -> jax.Array:
        x, y = batch
        ones = jax.nn.one_hot(binned(x, edges), count, dtype=jnp.float32).reshape(len(x), x.shape[1] * count)
        both = jnp.concatenate([ones, jax.nn.one_hot(y, classes, dtype=jnp.float32)], axis=1)
        # Sums of at most 2^24 ones are exact in float32.
        return state + jnp.matmul(ones.T, both, precision=jax.lax.Precision.HIGHEST).astype(jnp.int32)

    def finalize(state: jax.Array) -> Selected:
        features = state.shape[0] // count
        check_class_counts(who, jnp.sum(state[:count, features * count :], axis=0))
        pairs = state[:, : features * count].reshape(features, count, features, count).transpose(0, 2, 1, 3)
        relevance = information(state[:, features * count :].reshape(features, count, classes))[0]
        order = greedy(np.asarray(relevance), np.asarray(information(pairs)[0]), k, scheme)
        scores = np.zeros(features, np.float32)
        scores[order] = features - np.arange(k)
        return Selected(jnp.asarray(np.sort(order), jnp.int32), jnp.asarray(scores))

    def init(features: int) -> jax.Array:
        if not 1 <= k <= features:
            raise ValueError(f"{who}: k={k} must be at least 1 and at most the {features} features")
        return jnp.zeros((features * count, features * count + classes), jnp.int32)

    return Reducer(init, update, lambda a, b: a + b, finalize, f"{who}({k}, {scheme})",
                   reads_bins(classes, count, edges))  # fmt: skip


def greedy(relevance: np.ndarray, redundancy: np.ndarray, k: int, scheme: str) -> np.ndarray:
    """The features in the order in which they are chosen; ties go to the first."""
    order = [int(np.argmax(relevance))]
    while len(order) < k:
        shared = redundancy[:, order].mean(axis=1)
        worth = relevance - shared if scheme == "difference" else relevance / np.maximum(shared, 1e-12)
        worth[order] = -np.inf
        order.append(int(np.argmax(worth)))
    return np.asarray(order)
