"""Features that are left when the least important ones go, again and again."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np

from compressjax.core._settings import as_int, as_number
from compressjax.data._moments import Moments, merged
from compressjax.data._reducer import Reducer
from compressjax.data.selection._checks import check_numbers
from compressjax.data.selection._joint import gram_and_cross, no_joint, reads_of, with_batch
from compressjax.data.selection._selected import Selected


def eliminate(
    importance: Callable[[np.ndarray], Any], features: int, k: int, *, step: int | float = 1
) -> Selected:  # fmt: skip
    """Removes the least important features until `k` are left, and asks for importances anew after every removal.

    .. math:: S_{t+1} = S_t \\setminus \\{\\text{the least of } I(S_t)\\}

    Args:
        importance: `places [m] -> [m]`: importances of these features in a model of them alone, whatever trains it.
        features: Number of features at first.
        k: How many stay, in [1, features].
        step: How many go at once, at least 1; or the share of all features, in (0, 1).

    Returns:
        The selection; scores are the number of the round in which a feature went, and the last number for those that
        stay.

    Raises:
        ValueError: If an argument is out of range, or importances are not one finite number a feature.

    Example:
        >>> weights = np.array([3.0, -1.0, 2.0])
        >>> eliminate(lambda places: abs(weights[places]), 3, 1).scores.tolist()
        [2.0, 0.0, 1.0]

    Source: Guyon et al., Machine Learning, 2002.
    """
    who = "eliminate"
    features, k = as_int(who, "features", features), as_int(who, "k", k)
    if not 1 <= k <= features:
        raise ValueError(f"{who}: k={k} must be at least 1 and at most the {features} features")
    if not (0 < as_number(who, "step", step) < 1 or (step >= 1 and float(step).is_integer())):
        raise ValueError(f"{who}: step={step} must be a whole number of at least 1, or a share in (0, 1)")
    size = max(1, int(step * features)) if step < 1 else int(step)
    left, scores, turn = np.arange(features), np.zeros(features, np.float32), 0
    while len(left) > k:
        found = np.asarray(importance(left))
        if found.shape != left.shape or not np.isfinite(found).all():
            raise ValueError(f"{who}: importances of shape {found.shape} for {len(left)} features; give one finite "
                             "number for each")  # fmt: skip
        gone = np.argsort(found, kind="stable")[: min(size, len(left) - k)]
        scores[left[gone]] = turn
        left, turn = np.delete(left, gone), turn + 1
    scores[left] = turn
    return Selected(jnp.asarray(left, jnp.int32), jnp.asarray(scores))


def select_recursive(
    k: int, *, step: int | float = 1, ridge: float = 0.0, classes: int | None = None, standardize: bool = False
) -> Reducer:  # fmt: skip
    """Returns a reducer to `k` features by recursive elimination with ridge regression.

    .. math:: I(S) = \\sum_o w_{\\cdot o}^2, \\quad W = (X_S^\\top X_S + \\lambda I)^{-1} X_S^\\top Y

    on centered columns; classes are a column each. All models follow from second moments, so one pass serves every
    round. `finalize` does not run under `jit`.

    Args:
        k: How many features stay.
        step: How many go at once, at least 1; or the share of all features, in (0, 1).
        ridge: `lambda`, at least 0.
        classes: Number of classes, at least 2; None for labels that are numbers.
        standardize: Whether columns are divided by their deviation first.

    Returns:
        Reducer of pairs (rows, labels) whose result is `Selected`, with the rounds of `eliminate` as scores.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> from compressjax.data import fit
        >>> rows = np.array([[0.0, 1.0, 3.0], [1.0, 0.0, 1.0], [2.0, 1.0, 4.0], [3.0, 0.0, 1.0], [4.0, 1.0, 5.0]])
        >>> fit(select_recursive(1), (rows, 3 * rows[:, 0] + rows[:, 1])).places.tolist()
        [0]

    Source: Guyon et al., Machine Learning, 2002.
    """
    who = "select_recursive"
    if as_number(who, "ridge", ridge) < 0:
        raise ValueError(f"{who}: ridge={ridge} must be at least 0")

    def finalize(state: Moments) -> Selected:
        check_numbers(who, state, classes or 1)
        gram, cross = (np.asarray(part, np.float64) for part in gram_and_cross(state, classes, standardize))
        rows = int(state.rows.high) * 2**24 + int(state.rows.low)

        def importance(places: np.ndarray) -> np.ndarray:
            inside = gram[np.ix_(places, places)] + ridge / max(rows, 1) * np.eye(len(places))
            squares: np.ndarray = (np.linalg.lstsq(inside, cross[places], rcond=1e-9)[0] ** 2).sum(1)
            return squares

        return eliminate(importance, len(gram), k, step=step)

    return Reducer(lambda features: no_joint(features, classes), lambda s, batch: with_batch(s, batch, classes), merged,
                   finalize, f"{who}({k})", reads_of(who, classes))  # fmt: skip
