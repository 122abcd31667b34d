"""Principal components."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.core._settings import as_number
from compressjax.data._moments import Moments, merged, moments_of, no_moments
from compressjax.data._reducer import Reducer
from compressjax.data.decomposition._components import Components, check_size, components_of
from compressjax.data.decomposition._eigen import eigen
from compressjax.data.decomposition._rank import by_evidence, by_noise, by_share
from compressjax.numerics._counts import as_float, known

WAYS = ("minka", "parallel")


def pca(components: int | float | str = 0.9, *, whiten: bool = False, key: jax.Array | None = None) -> Reducer:
    """Returns a reducer to the directions of the largest variance.

    .. math:: C = \\tfrac{1}{n - 1} \\sum_i (x_i - \\mu)(x_i - \\mu)^\\top = V \\Lambda V^\\top, \\quad
        z = (x - \\mu) V_k

    One pass, memory `features^2`. The largest entry of every component is positive, so results do not depend on
    batches or devices.

    Args:
        components: Number of directions, at least 1; the share of the variance that they keep, in (0, 1); "minka" for
            the number with the largest evidence; or "parallel" for those above the 95th percentile of independent
            features. All but a number depend on values, so `finalize` then does not run under `jit`.
        whiten: Whether to divide coordinates by their deviations.
        key: Random key, for "parallel".

    Returns:
        Reducer whose result is `Components`.

    Raises:
        ValueError: If `components` is out of range; from `finalize`, if there are fewer rows or features.

    Example:
        >>> from compressjax.data import fit
        >>> rows = jnp.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]])
        >>> fitted = fit(pca(1), rows)
        >>> jnp.abs(fitted.transform(rows)).round(4).ravel().tolist()
        [5.196199893951416, 0.0, 5.196199893951416]

    Source: Pearson, 1901; mergeable moments, Chan et al., 1983; Minka, 2000; Horn, 1965.
    """
    wanted = check_components("pca", components, key)
    return Reducer(
        lambda features: no_moments(features, whole=True),
        lambda state, x: merged(state, moments_of(x, whole=True)),
        merged,
        functools.partial(_finalize, wanted, whiten, key),
        "pca" if components == 0.9 else f"pca({components})",
        eager=True,
    )


def _finalize(wanted: float | str, whiten: bool, key: jax.Array | None, state: Moments) -> Components:
    features = len(state.mean)
    check_size("pca", 1 if isinstance(wanted, str) else wanted, state.rows, features)
    few = None if isinstance(wanted, str) or wanted < 1 else int(wanted)
    values, vectors = eigen(state.scatter, few)
    k = number(wanted, values, jnp.diag(state.scatter), known(state.rows) or 0, key)
    divisor = jnp.maximum(as_float(state.rows) - 1, 1)
    return components_of(state.mean, values[:k], vectors[:k], divisor, jnp.trace(state.scatter), whiten)


def check_components(who: str, components: int | float | str, key: jax.Array | None) -> float | str:
    """The number, share or way that was asked for."""
    if isinstance(components, str):
        if components not in WAYS:
            raise ValueError(f"{who}: components={components!r} is unknown; write a number, a share or one of {WAYS}")
        if components == "parallel" and key is None:
            raise ValueError(f"{who}: components='parallel' draws noise; pass key=jax.random.key(0)")
        return components
    wanted = as_number(who, "components", components)
    if not (wanted >= 1 and float(wanted).is_integer()) and not 0 < wanted < 1:
        raise ValueError(f"{who}: components={components} must be a whole number of at least 1, or a share in (0, 1)")
    return wanted


def number(wanted: float | str, values: jax.Array, features: jax.Array, rows: int, key: jax.Array | None) -> int:
    """How many components, from the eigenvalues and the diagonal of the scatter of some rows."""
    if not isinstance(wanted, str) and wanted >= 1:
        return int(wanted)
    found = np.asarray(values, np.float64)
    if not isinstance(wanted, str):
        return by_share(found, wanted)
    if wanted == "minka" or key is None:
        return by_evidence(found / max(rows - 1, 1), rows)
    return by_noise(found / max(rows - 1, 1), np.asarray(features, np.float64) / max(rows - 1, 1), rows, key)
