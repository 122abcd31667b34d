"""Features that depend on a number in any way, by distances."""

import jax
import numpy as np

from compressjax.data._reducer import Reads, Reducer
from compressjax.data.selection._sampled import by_sample


def select_distance_correlation(k: int, *, rows: int = 2000, key: jax.Array | None = None) -> Reducer:
    """Returns a reducer to the `k` features with the largest distance correlation to a number.

    .. math:: R_j = \\sqrt{\\frac{\\langle A, B \\rangle}{\\|A\\| \\|B\\|}}, \\quad
        A = H |x_{ij} - x_{lj}| H, \\quad B = H |y_i - y_l| H, \\quad H = I - \\tfrac1n 1 1^\\top

    It is 0 only for independent variables, so it also sees relations that have no direction. It takes memory
    `rows^2` and time `features rows^2`. A constant feature gets the score 0.

    Args:
        k: How many features.
        rows: Size of the sample, at least 4; up to so many rows the result is exact.
        key: Random key of the sample; None for `jax.random.key(0)`.

    Returns:
        Reducer of pairs (rows, numbers) whose result is `Selected`, with `R` as scores.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> import numpy as np
        >>> from compressjax.data import fit
        >>> x = np.arange(-3.0, 4.0)
        >>> fitted = fit(select_distance_correlation(1, rows=7), (np.stack([x, x**2], 1), x**2))
        >>> [f"{score:.3f}" for score in fitted.scores]
        ['0.505', '1.000']

    Source: Székely, Rizzo and Bakirov, Annals of Statistics 2007, arXiv:0803.4101 (szekely2007).
    """
    return by_sample("select_distance_correlation", k, rows, key, Reads("numbers"), distance_correlations)


def distance_correlations(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Distance correlations of the columns with the labels."""
    own = _centered(y)
    size = np.sqrt((own**2).sum())
    found = np.zeros(x.shape[1])
    for j, column in enumerate(x.T):
        other = _centered(column)
        product = size * np.sqrt((other**2).sum())
        found[j] = np.sqrt(max(float((own * other).sum()), 0.0) / product) if product > 0 else 0.0
    return found


def _centered(values: np.ndarray) -> np.ndarray:
    """Distances between all pairs, with the mean of every row and column taken out."""
    apart = np.abs(values[:, None] - values[None])
    means = apart.mean(0)
    return apart - means[None] - means[:, None] + means.mean()
