"""A small codebook that learns together with the values that it rounds."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from compressjax.core._settings import as_int
from compressjax.tensors import Codebook


def start_codebook(values: ArrayLike, levels: int, *, iterations: int = 50) -> np.ndarray:
    """Returns the centroids that a learned codebook starts from: the means of k-means, from quantiles.

    Args:
        values: `[d]`, finite.
        levels: Centroids `k`, 2 to 256.
        iterations: Steps of Lloyd's method.

    Returns:
        `[k]`, float32, ascending.

    Raises:
        ValueError: If a value is not finite or the number of levels out of range.

    Example:
        >>> start_codebook([0.0, 0.1, 5.0, 5.1], 2).tolist()
        [0.05000000074505806, 5.050000190734863]

    Source: Lotfi et al., arXiv:2211.13609 (lotfi2022).
    """
    count, x = as_int("start_codebook", "levels", levels), np.sort(np.asarray(values, np.float64).ravel())
    if not 2 <= count <= 256:
        raise ValueError(f"start_codebook: levels={count} must be between 2 and 256")
    if not x.size or not np.isfinite(x).all():
        raise ValueError("start_codebook: values must be finite, and at least one; train the coordinates first")
    centroids = np.quantile(x, (np.arange(count) + 0.5) / count)
    for _ in range(iterations):
        nearest = np.searchsorted((centroids[1:] + centroids[:-1]) / 2, x)
        members = np.bincount(nearest, minlength=count)
        means = np.bincount(nearest, x, count) / np.maximum(members, 1)
        centroids = np.where(members > 0, means, centroids)
    return np.sort(centroids).astype(np.float32)


def round_to_codebook(values: jax.Array, centroids: jax.Array, charge: float = 0.0) -> tuple[jax.Array, jax.Array]:
    """Returns values rounded to a codebook, through which both learn, and their codes.

    .. math:: a_i = \\arg\\min_j (v_i - c_j)^2 - \\lambda \\ln p_j, \\quad \\hat v_i = c_{a_i}

    The gradient passes to the values as it is, and to a centroid as the sum over its members. `charge` is the price
    `lambda` of a nat in the code, in squared units of the values: rare centroids lose members, and the entropy falls.

    Args:
        values: `[d]`.
        centroids: `[k]`.
        charge: Price of a nat, at least 0, with the shares `p` of the nearest centroids.

    Returns:
        The rounded values `[d]` and the codes, int32 `[d]`.

    Example:
        >>> rounded, codes = round_to_codebook(jnp.array([0.2, 0.9]), jnp.array([0.0, 1.0]))
        >>> rounded.tolist(), codes.tolist()
        ([0.0, 1.0], [0, 1])

    Source: Lotfi et al., arXiv:2211.13609 (lotfi2022); the charge: Chou et al., Entropy-constrained vector
    quantization, 1989 (chou1989).
    """
    held, fixed = jax.lax.stop_gradient((values, centroids))
    distance = jnp.square(held[:, None] - fixed[None])
    codes = jnp.argmin(distance, -1)
    share = (jnp.zeros(fixed.size).at[codes].add(1.0) + 0.5) / (held.size + fixed.size / 2)
    codes = jnp.argmin(distance - charge * jnp.log(share)[None], -1).astype(jnp.int32)
    return centroids[codes] + (values - held), codes


def as_codebook(values: jax.Array, centroids: ArrayLike, charge: float = 0.0) -> Codebook:
    """Returns the node that a file holds: float16 centroids that are used, and codes.

    Args:
        values: `[d]`.
        centroids: `[k]`, at most 256.
        charge: As for `round_to_codebook`.

    Returns:
        The node; centroids without members are left out.

    Example:
        >>> as_codebook(jnp.array([0.2, 0.9]), [0.0, 0.5, 1.0]).codes.tolist()
        [0, 1]

    Source: Lotfi et al., arXiv:2211.13609 (lotfi2022).
    """
    table = np.asarray(centroids, np.float16)
    _, codes = round_to_codebook(jnp.asarray(values), jnp.asarray(table, jnp.float32), charge)
    used, narrow = np.unique(np.asarray(codes), return_inverse=True)
    return Codebook(jnp.asarray(table[used]), jnp.asarray(narrow.astype(np.uint8).reshape(codes.shape)))
