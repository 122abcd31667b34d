"""One-dimensional k-means by Lloyd's iteration."""

from typing import Any

import jax
import jax.numpy as jnp

from compressjax.share._start import start


def lloyd(
    x: jax.Array, clusters: int, *, init: str = "linear", iterations: int = 50, ignore_zeros: bool = True
) -> tuple[jax.Array, jax.Array]:
    """Centroids and codes that no step of assigning and averaging improves (or the best after `iterations`).

    .. math:: a_i = \\arg\\min_k |x_i - c_k|, \\qquad c_k = \\frac{1}{|\\{i : a_i = k\\}|} \\sum_{i : a_i = k} x_i

    Centroids stay sorted, so assigning is a binary search: no matrix of distances is made.

    Args:
        x: Any shape, floating; computed in float32.
        clusters: k, at least 2.
        init: `"linear"`, equal steps from the smallest to the largest value; `"quantile"`, equal counts; `"optimal"`,
            the least squared error over 1024 bins, by dynamic programming.
        iterations: At most so many; it stops as soon as no centroid moves.
        ignore_zeros: Whether exact zeros have no say in the centroids. They still get the code of the nearest.

    Returns:
        `(centroids, codes)`: `[k]` float32 ascending, and int32 of the shape of `x`. A centroid without members keeps
        its place.

    Example:
        >>> lloyd(jnp.array([0.9, 1.1, 5.0, 0.0]), 2)[0].round(3).tolist()
        [1.0, 5.0]

    Source: linear start after Han et al., arXiv:1510.00149 (han2016).
    """
    flat = x.astype(jnp.float32).ravel()
    counted = flat != 0 if ignore_zeros else jnp.ones(flat.shape, bool)
    begin = start(flat, counted, clusters, init)

    def step(carry: Any) -> Any:
        centroids, _, count = carry
        new = cluster_means(flat, assign(flat, centroids), centroids, counted)
        return new, jnp.any(new != centroids), count + 1

    def moving(carry: Any) -> jax.Array:
        return carry[1] & (carry[2] < iterations)

    centroids, _, _ = jax.lax.while_loop(moving, step, (begin, jnp.array(True), jnp.zeros((), jnp.int32)))
    return centroids, assign(flat, centroids).reshape(x.shape)


def assign(x: jax.Array, centroids: jax.Array) -> jax.Array:
    """Index of the nearest centroid; of two equally near, the smaller.

    .. math:: a_i = |\\{k : x_i > (c_k + c_{k+1}) / 2\\}|
    """
    edges = centroids[:-1] + (centroids[1:] - centroids[:-1]) / 2
    # Comparing with all edges is faster while they are few; the plain binary search does not vectorize.
    method = "compare_all" if edges.size <= 16 else "scan_unrolled"
    return jnp.searchsorted(edges, x, method=method).astype(jnp.int32)


def cluster_means(x: jax.Array, codes: jax.Array, centroids: jax.Array, counted: jax.Array) -> jax.Array:
    """Mean of the members of every cluster, differentiable with respect to `x`.

    .. math:: m_k = c_k + \\frac{\\sum_{a_i = k} (x_i - c_k)}{|\\{i : a_i = k\\}|}

    Sums are taken of differences from `centroids`, which keeps float32 accurate for millions of members;
    clusters without members keep theirs.
    """
    k = centroids.shape[0]
    members = codes.astype(jnp.int32).ravel()
    away = jnp.where(counted, x - jnp.take(centroids, codes, mode="clip"), 0.0)
    sums = jax.ops.segment_sum(away.ravel(), members, k)
    counts = jax.ops.segment_sum(counted.astype(jnp.float32).ravel(), members, k)
    return centroids + sums / jnp.maximum(counts, 1.0)
