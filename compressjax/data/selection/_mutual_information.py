"""Features that tell most about a class or a number, from nearest neighbors."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from compressjax.core._settings import as_int
from compressjax.data._reducer import Reads, Reducer
from compressjax.data.selection._neighbors import number_and_class, two_numbers
from compressjax.data.selection._sampled import by_sample
from compressjax.data.selection._selected import check_classes


def select_mutual_information(
    k: int, *, classes: int | None = None, neighbors: int = 3, discrete: bool | Sequence[bool] = False,
    rows: int = 10_000, key: jax.Array | None = None,
) -> Reducer:  # fmt: skip
    """Returns a reducer to the `k` features with the most information about a class or a number.

    .. math:: I = \\psi(n) + \\psi(K) - \\langle \\psi(n_x + 1) + \\psi(n_y + 1) \\rangle \\quad\\text{(numbers)},
        \\quad I = \\psi(n) + \\langle \\psi(K) \\rangle - \\langle \\psi(n_c) \\rangle - \\langle \\psi(m)
        \\rangle \\quad\\text{(classes)}

    with the neighbors `n_x`, `n_y` and `m` inside the distance to the `K`-th one. No bins. Columns are scaled to
    deviation 1, and noise of 1e-10 separates equal values, as in scikit-learn. A constant feature gets the score 0.

    Args:
        k: How many features.
        classes: Number of classes, at least 2; None for labels that are numbers.
        neighbors: `K`, at least 1 and below the rows.
        discrete: Whether features are discrete; for all, or one entry a feature.
        rows: Size of the sample, at least 4; up to so many rows all are used.
        key: Random key of the sample and of the noise; None for `jax.random.key(0)`.

    Returns:
        Reducer of pairs (rows, labels) whose result is `Selected`, with nats as scores.

    Raises:
        ValueError: If an argument is out of range, or there are no more rows than neighbors.

    Example:
        >>> from compressjax.data import fit
        >>> x, y = np.arange(40.0), np.arange(40) // 20
        >>> fit(select_mutual_information(1, classes=2), (np.stack([x, x % 7], 1), y)).places.tolist()
        [0]

    Source: Kraskov et al., Physical Review E 2004, arXiv:cond-mat/0305641; Ross, PLoS ONE, 2014.
    """
    who = "select_mutual_information"
    if classes is not None:
        check_classes(who, classes)
    if as_int(who, "neighbors", neighbors) < 1:
        raise ValueError(f"{who}: neighbors={neighbors} must be at least 1")
    seed = np.asarray(jax.random.key_data(jax.random.key(0) if key is None else key)).ravel()

    def score(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        if len(x) <= neighbors:
            raise ValueError(f"{who}: {len(x)} rows do not have neighbors={neighbors}")
        if np.ndim(discrete) and len(np.ravel(discrete)) != x.shape[1]:
            raise ValueError(f"{who}: discrete has {len(np.ravel(discrete))} entries for {x.shape[1]} features")
        kinds = np.broadcast_to(np.asarray(discrete, bool), x.shape[1])
        draw = np.random.default_rng(seed.tolist())
        target = y if classes is not None else _spread(y, draw)
        return np.array([_between(x[:, j], kinds[j], target, classes is not None, neighbors, draw)
                         for j in range(x.shape[1])])  # fmt: skip

    reads = Reads("numbers") if classes is None else Reads("classes", classes)
    return by_sample(who, k, rows, key, reads, score)


def _between(x: np.ndarray, discrete: Any, y: np.ndarray, classes: bool, k: int, draw: np.random.Generator) -> float:
    """Information between one feature and the label, by the kinds of both."""
    if (x == x[0]).all():
        return 0.0
    if discrete and classes:
        _, a = np.unique(x, return_inverse=True)
        _, b = np.unique(y, return_inverse=True)
        p = np.zeros((a.max() + 1, b.max() + 1))
        np.add.at(p, (a, b), 1 / len(x))
        product = p.sum(1, keepdims=True) * p.sum(0, keepdims=True)
        return float((p[p > 0] * np.log(p[p > 0] / product[p > 0])).sum())
    if discrete:
        return number_and_class(y, x, k)
    x = _spread(x, draw)
    return number_and_class(x, y, k) if classes else two_numbers(x, y, k)


def _spread(x: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Scaled to deviation 1, with noise that separates equal values."""
    deviation = x.std()
    scaled = x / deviation if deviation > 0 else x
    noise: np.ndarray = 1e-10 * max(1.0, float(np.abs(scaled).mean())) * draw.standard_normal(len(x))
    return scaled + noise
