"""Distance of two sets of features as Gaussians."""

import numpy as np
from numpy.typing import ArrayLike


def frechet_distance(real: ArrayLike, fake: ArrayLike) -> float:
    """Returns the Fréchet distance of two sets of features, taken as Gaussians.

    .. math:: \\|\\mu_r - \\mu_f\\|^2 + tr\\left(\\Sigma_r + \\Sigma_f - 2 (\\Sigma_r \\Sigma_f)^{1/2}\\right)

    With features of an Inception network this is the FID; here the features are those of any classifier, so compare
    figures under the same classifier only. The estimate is biased upward by small samples.

    Args:
        real: `[n, features]`; take clearly more samples than features.
        fake: `[m, features]`.

    Returns:
        The distance, at least 0; 0 for equal moments.

    Raises:
        ValueError: If the features differ in number, a set has fewer than 2 rows, or a number is not finite.

    Example:
        >>> frechet_distance([[0.0], [2.0]], [[3.0], [5.0]])
        9.0

    Source: Heusel et al., arXiv:1706.08500 (heusel2017).
    """
    first, second = sets("frechet_distance", real, fake)
    (mean, cov), (other, other_cov) = ((x.mean(0), np.atleast_2d(np.cov(x, rowvar=False))) for x in (first, second))
    root = _root(cov)
    # The eigenvalues of the product equal those of this symmetric matrix, which are stable to compute.
    crossed = np.linalg.eigvalsh(root @ other_cov @ root)
    between = 2 * np.sqrt(np.maximum(crossed, 0)).sum()
    return float(max(np.sum((mean - other) ** 2) + np.trace(cov) + np.trace(other_cov) - between, 0.0))


def sets(who: str, real: ArrayLike, fake: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Both sets in float64, checked."""
    found = [np.asarray(x, np.float64) for x in (real, fake)]
    if any(x.ndim != 2 or len(x) < 2 for x in found) or found[0].shape[1] != found[1].shape[1]:
        raise ValueError(f"{who}: sets of features {found[0].shape} and {found[1].shape} must be [n, features] with "
                         "the same features, and at least 2 rows")  # fmt: skip
    if not all(np.isfinite(x).all() for x in found):
        raise ValueError(f"{who}: features are not finite; check the classifier that makes them")
    return found[0], found[1]


def _root(matrix: np.ndarray) -> np.ndarray:
    """The symmetric square root."""
    numbers, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(np.maximum(numbers, 0))) @ vectors.T
