"""Nearest training images: whether a generator repeats what it has seen."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike


class Memorized(NamedTuple):
    """Nearest training samples of generated ones.

    Attributes:
        places: `[m]`, index of the nearest training sample.
        distances: `[m]`, Euclidean distance to it.
        held_out: Distances of held-out samples to their nearest training samples, `[h]`.
        share: Part of the generated samples that are nearer than all but 1 % of the held-out ones.
    """

    places: np.ndarray
    distances: np.ndarray
    held_out: np.ndarray
    share: float


def memorized(fake: ArrayLike, train: ArrayLike, held_out: ArrayLike) -> Memorized:
    """Compares the distance of generated samples from the training set with that of new real samples.

    .. math:: share = \\frac{1}{m} |\\{j : \\min_i \\|f_j - t_i\\| < q_{0.01}\\}|

    where `q` is the quantile of the same distance over held-out samples: about 0.01 for a generator that is as far from
    its training set as new data, and 1 for one that copies.

    Args:
        fake: `[m, ...]`, flattened.
        train: `[n, ...]`.
        held_out: `[h, ...]`, real samples that were not trained on.

    Returns:
        Places, distances and the share.

    Raises:
        ValueError: If the shapes of samples differ, or a set is empty.

    Example:
        >>> found = memorized([[0.0], [5.0]], [[0.0], [4.0]], [[0.5], [6.0]])
        >>> found.places.tolist(), found.distances.tolist(), found.share
        ([0, 1], [0.0, 1.0], 0.5)

    Source: nearest neighbors as in Radford et al., arXiv:1511.06434 (radford2015).
    """
    shapes = [np.shape(x) for x in (fake, train, held_out)]
    if len({shape[1:] for shape in shapes}) > 1 or not all(shape and shape[0] for shape in shapes):
        raise ValueError(f"memorized: samples {shapes[0]}, training set {shapes[1]} and held-out set {shapes[2]} must "
                         "hold samples of one shape")  # fmt: skip
    made, seen, new = (np.asarray(x, np.float64).reshape(len(x), -1) for x in (fake, train, held_out))  # type: ignore[arg-type]
    places, near = _nearest(made, seen)
    _, other = _nearest(new, seen)
    return Memorized(places, near, other, float((near < np.quantile(other, 0.01)).mean()))


def _nearest(points: np.ndarray, centers: np.ndarray, block: int = 512) -> tuple[np.ndarray, np.ndarray]:
    """Index of the nearest center and distance to it, in blocks that bound the memory."""
    middle = centers.mean(0)  # products of centered rows lose least
    moved, squares, places = centers - middle, ((centers - middle) ** 2).sum(1), []
    for start in range(0, len(points), block):
        places.append((squares - 2 * (points[start : start + block] - middle) @ moved.T).argmin(1))
    found = np.concatenate(places)
    return found, np.linalg.norm(points - centers[found], axis=1)
