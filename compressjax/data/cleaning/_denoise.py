"""Signals without their noise: few directions of tables, medians of pixels."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.core._settings import as_int, as_number
from compressjax.data._moments import Moments
from compressjax.data._reducer import Reducer
from compressjax.data.decomposition._pca import pca
from compressjax.numerics._counts import known
from compressjax.numerics._noise import middle_of_noise, threshold


def denoising_pca(noise: float | None = None) -> Reducer:
    """Returns a reducer to the principal components above the noise; `inverse_transform` of them is the signal.

    .. math:: \\sigma_k > \\lambda(\\beta) \\sqrt{n}\\, s, \\quad \\lambda(\\beta)^2 = 2 (\\beta + 1) +
        \\frac{8 \\beta}{\\beta + 1 + \\sqrt{\\beta^2 + 14 \\beta + 1}}, \\quad \\beta = m / n

    for singular values of centered data with sides `m <= n`, of which no other hard threshold leaves a smaller error.
    Without `noise`, it follows from the median singular value and that of pure noise. At least one component stays.
    `finalize` does not run under `jit`.

    Args:
        noise: `s`, standard deviation of the noise of a value, above 0; None if it is not known.

    Returns:
        Reducer whose result is `Components`.

    Raises:
        ValueError: If `noise` is not above 0; from `fit`, if there are fewer than 2 rows.

    Example:
        >>> from compressjax.data import fit
        >>> draw = np.random.default_rng(0)
        >>> rows = np.outer(draw.normal(size=40), np.ones(8)) + 0.1 * draw.normal(size=(40, 8))
        >>> fit(denoising_pca(), rows).components.shape
        (1, 8)

    Source: Gavish and Donoho, arXiv:1305.5870 (gavish2014).
    """
    if noise is not None and not as_number("denoising_pca", "noise", noise) > 0:
        raise ValueError(f"denoising_pca: noise={noise} must be above 0")
    whole = pca(1)

    def finalize(state: Moments) -> Any:
        rows, features = known(state.rows) or 0, len(state.mean)
        values = np.linalg.eigvalsh(np.asarray(state.scatter, np.float64))[::-1]
        singular = np.sqrt(np.maximum(values, 0))[: min(rows, features)]
        beta = min(rows, features) / max(rows, features, 1)
        known_noise = noise if noise is not None else float(np.median(singular)) / math.sqrt(
            max(rows, features) * middle_of_noise(beta))  # fmt: skip
        limit = threshold(beta) * math.sqrt(max(rows, features)) * known_noise
        return pca(max(1, int((singular > limit).sum()))).finalize(state)

    return Reducer(whole.init, whole.update, whole.merge, finalize, "denoising_pca")


def median_filter(images: Any, *, size: int = 3) -> jax.Array:
    """Replaces every pixel by the median of its neighborhood, which takes out single wrong pixels and keeps edges.

    .. math:: y_{ij} = \\text{median}\\{x_{i + a, j + b} : |a|, |b| \\le (s - 1) / 2\\}

    Beyond the border, the pixels at the border go on.

    Args:
        images: `[n, height, width, channels]`.
        size: `s`, odd, at least 1.

    Returns:
        Of the shape and type of `images`.

    Raises:
        ValueError: If there are not four axes, or the size is even.

    Example:
        >>> image = jnp.zeros((1, 5, 5, 1)).at[0, 2, 2, 0].set(9.0)
        >>> float(median_filter(image).max())
        0.0

    Source: Tukey, Exploratory Data Analysis, 1977.
    """
    x = jnp.asarray(images)
    if x.ndim != 4:
        raise ValueError(f"median_filter: images {x.shape} must be [n, height, width, channels]")
    if as_int("median_filter", "size", size) < 1 or size % 2 == 0:
        raise ValueError(f"median_filter: size={size} must be odd, at least 1")
    reach = size // 2
    wide = jnp.pad(x, ((0, 0), (reach, reach), (reach, reach), (0, 0)), mode="edge")
    parts = [wide[:, a : a + x.shape[1], b : b + x.shape[2]] for a in range(size) for b in range(size)]
    return jnp.sort(jnp.stack(parts), axis=0)[len(parts) // 2]
