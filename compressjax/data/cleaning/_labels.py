"""Labels that a model, trained on other rows, is confident are wrong."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.core._settings import as_int, as_number
from compressjax.data.cleaning._report import Finding, Report

FitPredict = Callable[[jax.Array, jax.Array, jax.Array], Any]


def find_label_errors(labels: Any, probabilities: Any, *, margin: float | None = None) -> Report:
    """Finds rows that belong confidently to another class than their label says.

    .. math:: t_c = \\tfrac{1}{n_c} \\sum_{i: \\tilde y_i = c} p_{ic}, \\quad
        \\hat y_i = \\arg\\max_{c:\\, p_{ic} \\ge t_c} p_{ic}, \\quad D = \\{i : \\hat y_i \\ne \\tilde y_i\\}

    Rows that reach no threshold stay. With a margin `m`, no class has a threshold, and
    `D = \\{i : \\max_c p_{ic} - p_{i \\tilde y_i} \\ge m\\}`: a larger one names fewer rows that are only hard to tell.

    Args:
        labels: `[n]`, integers from 0.
        probabilities: `[n, classes]`, of a model that did not see the row: from `cross_validated`, say.
        margin: By how much another class must be more probable than the label, in (0, 1]; None for the thresholds.

    Returns:
        The report: which row, its label, and the class that it rather is.

    Raises:
        ValueError: If shapes do not fit, probabilities are not in [0, 1], a label is no class, or the margin is out of
            range.

    Example:
        >>> probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.2, 0.8], [0.95, 0.05]])
        >>> print(find_label_errors([0, 0, 1, 1], probabilities))
        row 3: label: labeled 1 with probability 0.05, rather 0 with 0.95
        1 of 4 rows dropped: 1 by label

    Source: Northcutt, Jiang and Chuang, arXiv:1911.00068 (northcutt2021).
    """
    y, p = _checked("find_label_errors", labels, probabilities)
    if margin is not None and not 0 < as_number("find_label_errors", "margin", margin) <= 1:
        raise ValueError(f"find_label_errors: margin={margin} must be in (0, 1]; None takes thresholds of the classes")
    limits = thresholds(y, p) if margin is None else p[np.arange(len(y)), y][:, None] + margin
    reaches = np.where(p >= limits, p, -np.inf)
    guess = reaches.argmax(1)
    wrong = np.flatnonzero((reaches.max(1) > -np.inf) & (guess != y))
    found = [Finding(int(i), "label", f"labeled {y[i]} with probability {p[i, y[i]]:.2f}, rather {guess[i]} with "
                     f"{p[i, guess[i]]:.2f}") for i in wrong]  # fmt: skip
    return Report(len(y), tuple(found))


def thresholds(y: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Mean probability of each class among the rows with its label; infinite for classes without rows."""
    counts = np.bincount(y, minlength=p.shape[1])
    sums = np.bincount(y, weights=p[np.arange(len(y)), y], minlength=p.shape[1])
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.inf)


def cross_validated(
    x: Any, labels: Any, classes: int, key: jax.Array, *, folds: int = 5, fit_predict: FitPredict | None = None
) -> np.ndarray:  # fmt: skip
    """Returns probabilities of every row from a model that was trained without it.

    .. math:: p_i = f_{\\theta(-k(i))}(x_i), \\quad \\theta(-k) = \\text{trained on all folds but } k

    Args:
        x: Rows `[n, features]`, or anything with a leading axis that `fit_predict` reads.
        labels: `[n]`, integers from 0.
        classes: Number of classes, at least 2.
        key: Random key of the folds.
        folds: In [2, n].
        fit_predict: `(x, labels, x_new) -> [n_new, classes]`; None for a Gaussian kernel by random features and
            least squares.

    Returns:
        `[n, classes]`, float64.

    Raises:
        ValueError: If labels have another length, or an argument is out of range.

    Example:
        >>> x = np.array([[0.0], [0.1], [0.2], [5.0], [5.1], [5.2]])
        >>> cross_validated(x, [0, 0, 0, 1, 1, 1], 2, jax.random.key(0), folds=3).argmax(1).tolist()
        [0, 0, 0, 1, 1, 1]
    """
    who = "cross_validated"
    rows, y = jnp.asarray(x), np.asarray(labels)
    if y.shape != rows.shape[:1]:
        raise ValueError(f"{who}: labels of shape {y.shape} do not belong to {len(rows)} rows")
    if as_int(who, "classes", classes) < 2 or not 2 <= as_int(who, "folds", folds) <= len(rows):
        raise ValueError(f"{who}: classes={classes} must be at least 2, folds={folds} in [2, {len(rows)}]")
    model = fit_predict or (lambda a, b, c: _ridge(a.astype(jnp.float32), b, c.astype(jnp.float32), int(classes)))
    order = np.asarray(jax.random.permutation(key, len(rows)))
    found = np.zeros((len(rows), classes))
    for part in np.array_split(order, folds):
        rest = np.setdiff1d(order, part)
        found[part] = np.asarray(model(rows[rest], jnp.asarray(y[rest]), rows[part]))
    return found


@functools.partial(jax.jit, static_argnums=3)
def _ridge(x: jax.Array, y: jax.Array, new: jax.Array, classes: int) -> jax.Array:
    """Probabilities from least squares on random cosines: a Gaussian kernel (Rahimi and Recht, 2007).

    Least squares hardly follow single wrong labels. Their scores are too even for probabilities, hence the power.
    """
    high, size = jax.lax.Precision.HIGHEST, 1024
    center, scale = jnp.mean(x, axis=0, keepdims=True), jnp.std(x) + 1e-9
    some = (x[:256] - center) / scale
    apart = 2 * jnp.mean(jnp.sum(some**2, axis=1)) + 1e-9  # mean squared distance of two rows
    for_slopes, for_phases = jax.random.split(jax.random.key(0))
    slopes = jax.random.normal(for_slopes, (x.shape[1], size)) * jnp.sqrt(2 / apart)
    phases = jax.random.uniform(for_phases, (1, size), maxval=2 * jnp.pi)

    def cosines(rows: jax.Array) -> jax.Array:
        return jnp.sqrt(2 / size) * jnp.cos(jnp.matmul((rows - center) / scale, slopes, precision=high) + phases)

    a, target = cosines(x), jax.nn.one_hot(y, classes) - 1 / classes
    gram = jnp.matmul(a.T, a, precision=high) + 0.1 * len(x) / size * jnp.eye(size)
    weights = jnp.linalg.solve(gram, jnp.matmul(a.T, target, precision=high))
    scores = jnp.clip(jnp.matmul(cosines(new), weights, precision=high) + 1 / classes, 1e-3, None) ** 4
    return scores / jnp.sum(scores, axis=1, keepdims=True)


def _checked(who: str, labels: Any, probabilities: Any) -> tuple[np.ndarray, np.ndarray]:
    """Labels and probabilities that belong together."""
    y, p = np.asarray(labels), np.asarray(probabilities, np.float64)
    if p.ndim != 2 or y.shape != p.shape[:1] or not np.issubdtype(y.dtype, np.integer):
        raise ValueError(f"{who}: labels {y.dtype}{list(y.shape)} and probabilities {list(p.shape)} must be integers "
                         "[n] and [n, classes]")  # fmt: skip
    if (bad := ~((p >= 0) & (p <= 1 + 1e-6))).any():
        row, column = np.argwhere(bad)[0].tolist()
        raise ValueError(f"{who}: row {row}, class {column} has probability {p[row, column]}; they lie in [0, 1]")
    if (bad := (y < 0) | (y >= p.shape[1])).any():
        row = int(np.flatnonzero(bad)[0])
        raise ValueError(f"{who}: the label of row {row} is {y[row]}, none of {p.shape[1]} classes")
    return y, p
