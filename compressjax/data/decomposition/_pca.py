"""Principal components."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.core._settings import as_number
from compressjax.data._moments import Moments, merged, moments_of, no_moments
from compressjax.data._reducer import Reducer
from compressjax.data.decomposition._components import Components
from compressjax.numerics._counts import as_float, known
from compressjax.numerics._host import on_host


def pca(components: int | float = 0.9, *, whiten: bool = False) -> Reducer:
    """Returns a reducer to the directions of the largest variance.

    .. math:: C = \\tfrac{1}{n - 1} \\sum_i (x_i - \\mu)(x_i - \\mu)^\\top = V \\Lambda V^\\top, \\quad
        z = (x - \\mu) V_k

    One pass, memory `features^2`. The largest entry of every component is positive, so results do not depend on
    batches or devices.

    Args:
        components: Number of directions, at least 1; or the share of the variance that they keep, in (0, 1), which
            depends on values, so `finalize` then does not run under `jit`.
        whiten: Whether to divide coordinates by their deviations.

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

    Source: Pearson, 1901; mergeable moments, Chan et al., 1983.
    """
    wanted = as_number("pca", "components", components)
    if not (wanted >= 1 and float(wanted).is_integer()) and not 0 < wanted < 1:
        raise ValueError(f"pca: components={components} must be a whole number of at least 1, or a share in (0, 1)")

    def finalize(state: Moments) -> Components:
        count = known(state.rows)
        features = len(state.mean)
        if count is not None and (count < 2 or wanted > min(count, features)):
            raise ValueError(f"pca: {count} rows of {features} features do not have components={components}; it takes "
                             "at least 2 rows, and as many rows and features as components")  # fmt: skip
        values, vectors = _eigen(state.scatter)
        total = jnp.sum(values)
        k = int(wanted)
        if wanted < 1:
            share = np.cumsum(np.asarray(values, np.float64)) / max(float(total), 1e-30)
            k = int(np.searchsorted(share, wanted - 1e-9)) + 1
        divisor = jnp.maximum(as_float(state.rows) - 1, 1)
        kept = values[:k]
        deviation = jnp.sqrt(jnp.maximum(kept / divisor, 0))
        rest = jnp.sum(values[k:]) / divisor / max(features - k, 1)
        scale = jnp.where(deviation > 0, deviation, 1.0) if whiten else jnp.ones(k)
        ratio = kept / jnp.where(total > 0, total, 1.0)
        return Components(state.mean, vectors[:, :k].T, scale, kept / divisor, ratio, jnp.sqrt(kept), rest)

    name = f"pca({components})" if not math.isclose(wanted, 0.9) else "pca"
    return Reducer(
        lambda features: no_moments(features, whole=True),
        lambda state, x: merged(state, moments_of(x, whole=True)),
        merged,
        finalize,
        name,
    )


def _eigen(scatter: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Eigenvalues from the largest, at least 0, and vectors whose largest entry is positive."""
    host = on_host(scatter)
    xp: Any = jnp if host is None else np
    values, vectors = xp.linalg.eigh(scatter if host is None else host.astype(np.float64))
    values, vectors = xp.maximum(values[::-1], 0), vectors[:, ::-1]
    largest = xp.take_along_axis(vectors, xp.argmax(xp.abs(vectors), axis=0)[None], axis=0)
    vectors = vectors * xp.where(largest < 0, -1.0, 1.0)
    return jnp.asarray(values, jnp.float32), jnp.asarray(vectors, jnp.float32)
