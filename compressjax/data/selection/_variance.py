"""Features that vary."""

import jax.numpy as jnp
import numpy as np

from compressjax.core._settings import as_number
from compressjax.data._moments import Moments, merged, moments_of, no_moments
from compressjax.data._reducer import Reducer
from compressjax.data.selection._selected import Selected, top_places
from compressjax.numerics._counts import as_float


def select_variance(threshold: float = 0.0, *, k: int | None = None) -> Reducer:
    """Returns a reducer to the features whose variance is above a threshold, or to the `k` with the largest.

    .. math:: \\sigma_j^2 = \\tfrac1n \\sum_i (x_{ij} - \\mu_j)^2 > t

    Args:
        threshold: `t`, at least 0; ignored with `k`.
        k: How many features; None for all above the threshold, which depends on values, so `finalize` then does not
            run under `jit`.

    Returns:
        Reducer whose result is `Selected`, with variances as scores.

    Raises:
        ValueError: If the threshold is negative; from `finalize`, if no feature is above it, or `k` is out of range.

    Example:
        >>> from compressjax.data import fit
        >>> fit(select_variance(), jnp.array([[1.0, 5.0], [2.0, 5.0]])).places.tolist()
        [0]
    """
    if as_number("select_variance", "threshold", threshold) < 0:
        raise ValueError(f"select_variance: threshold={threshold} must be at least 0")

    def finalize(state: Moments) -> Selected:
        variance = state.scatter / jnp.maximum(as_float(state.rows), 1)
        if k is not None:
            return Selected(top_places("select_variance", variance, k), variance)
        # Rounding of a constant feature leaves a variance of about eps^2 mean^2.
        limit = np.maximum(threshold, (10 * np.finfo(np.float32).eps * np.asarray(state.mean)) ** 2)
        places = np.flatnonzero(np.asarray(variance) > limit)
        if not len(places):
            raise ValueError(f"select_variance: no feature has a variance above {threshold}; the largest is "
                             f"{float(variance.max()):g}")  # fmt: skip
        return Selected(jnp.asarray(places, jnp.int32), variance)

    return Reducer(
        lambda features: no_moments(features, whole=False),
        lambda state, x: merged(state, moments_of(x, whole=False)),
        merged,
        finalize,
        "select_variance",
    )
