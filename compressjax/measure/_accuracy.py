"""Accuracy with a confidence interval, and agreement of predictions."""

from typing import Any

import numpy as np
from scipy.special import betaincinv

from compressjax.measure._interval import Proportion, wilson


def accuracy_interval(correct: int, total: int, level: float = 0.95, method: str = "wilson") -> Proportion:
    """Returns an accuracy with its confidence interval.

    Wilson's interval has the stated coverage on average over accuracies. The exact interval of Clopper and Pearson has
    at least that coverage for every accuracy, and is wider; its ends solve

    .. math:: P(X \\ge k \\mid p_{low}) = \\alpha / 2, \\quad P(X \\le k \\mid p_{high}) = \\alpha / 2

    Args:
        correct: Number of correct predictions, in [0, total].
        total: Number of examples, at least 1.
        level: Coverage `1 - alpha`, in (0, 1).
        method: `"wilson"` or `"exact"` (Clopper and Pearson).

    Returns:
        The accuracy and its interval.

    Raises:
        ValueError: If a count, the level or the method is out of range.

    Example:
        >>> [round(x, 4) for x in accuracy_interval(10, 10, method="exact")]
        [1.0, 0.6915, 1.0]

    Source: Clopper and Pearson, Biometrika 26 (1934) (clopper1934); Wilson, JASA 22 (1927) (wilson1927).
    """
    found = wilson(correct, total, level)
    if method == "wilson":
        return found
    if method != "exact":
        raise ValueError(f"method={method!r} is unknown; use 'wilson' or 'exact'")
    tail = (1 - level) / 2
    low = float(betaincinv(correct, total - correct + 1, tail)) if correct else 0.0
    high = float(betaincinv(correct + 1, total - correct, 1 - tail)) if correct < total else 1.0
    return Proportion(found.value, low, high)


def changed_predictions(a: Any, b: Any) -> int:
    """Counts the examples that two models label differently; a difference of accuracies hides changes that cancel.

    .. math:: \\sum_i [\\hat y_i^a \\ne \\hat y_i^b]

    Args:
        a: Labels `[n]`, integers, or scores `[n, classes]`; the largest score is the label.
        b: Labels or scores of the same examples.

    Returns:
        The number.

    Raises:
        ValueError: If the numbers of examples differ or a shape is wrong.

    Example:
        >>> changed_predictions([0, 1, 2], [[9.0, 1, 0], [0, 1, 9], [0, 1, 9]])
        1
    """
    first, second = _labels(a, "a"), _labels(b, "b")
    if first.shape != second.shape:
        raise ValueError(f"a has {first.size} predictions, b {second.size}; give those of the same examples")
    return int(np.count_nonzero(first != second))


def _labels(x: Any, name: str) -> np.ndarray:
    x = np.asarray(x)
    if x.ndim == 2:
        return x.argmax(axis=1)
    if x.ndim != 1 or not np.issubdtype(x.dtype, np.integer):
        raise ValueError(f"{name} is {x.dtype} {x.shape}; give integer labels [n] or scores [n, classes]")
    return x
