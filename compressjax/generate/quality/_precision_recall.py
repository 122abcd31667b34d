"""Precision and recall of samples, by balls around their neighbors."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial.distance import cdist

from compressjax.generate.quality._frechet import sets

_BLOCK = 512  # points


class PrecisionRecall(NamedTuple):
    """How many generated samples look real, and how much of the real data is covered; both in [0, 1]."""

    precision: float
    recall: float


def precision_recall(real: ArrayLike, fake: ArrayLike, k: int = 3) -> PrecisionRecall:
    """Returns which part of each set lies within the other one's balls.

    .. math:: precision = \\frac{1}{m} |\\{j : \\exists i: \\|f_j - r_i\\| \\le d_k(r_i)\\}|

    and recall with the sets exchanged; `d_k` is the distance to the k-th nearest neighbor in the own set.

    Args:
        real: `[n, features]`.
        fake: `[m, features]`.
        k: Neighbors, at least 1 and below n and m.

    Returns:
        Both numbers.

    Raises:
        ValueError: As `frechet_distance`, or if `k` is out of range.

    Example:
        >>> precision_recall([[0.0], [1.0], [2.0]], [[0.5], [9.0]], k=1)
        PrecisionRecall(precision=0.5, recall=1.0)

    Source: Kynkäänniemi et al., arXiv:1904.06991 (kynkaanniemi2019).
    """
    first, second = sets("precision_recall", real, fake)
    if not 1 <= k < min(len(first), len(second)):
        raise ValueError(
            f"precision_recall: k={k} must be at least 1 and below the {min(len(first), len(second))} samples"
        )
    return PrecisionRecall(_covered(second, first, k), _covered(first, second, k))


def _covered(points: np.ndarray, centers: np.ndarray, k: int) -> float:
    """The part of the points within the ball of a center.

    Distances are those of differences, because points may lie on the surface of a ball, or in one of radius 0: expanded
    squares would round them away. They are taken in blocks, which bound the memory.
    """
    radii = np.concatenate([np.partition(part, k, axis=1)[:, k] for part in _distances(centers, centers)])
    return float(np.concatenate([(part <= radii).any(1) for part in _distances(points, centers)]).mean())


def _distances(points: np.ndarray, centers: np.ndarray) -> Iterator[np.ndarray]:
    """Euclidean distances `[block, centers]`; the nearest to a center among the centers is itself."""
    return (cdist(points[start : start + _BLOCK], centers) for start in range(0, len(points), _BLOCK))
