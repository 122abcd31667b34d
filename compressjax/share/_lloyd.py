"""One-dimensional k-means by Lloyd's iteration."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.numerics import with_auto_axes
from compressjax.numerics._explicit import with_whole_results
from compressjax.numerics._host import on_host
from compressjax.share._start import start, totals


def lloyd(
    x: jax.Array,
    clusters: int,
    *,
    init: str = "linear",
    iterations: int = 50,
    ignore_zeros: bool = True,
    weights: jax.Array | None = None,
    key: jax.Array | None = None,
) -> tuple[jax.Array, jax.Array]:
    """Clusters values by alternating assignments and means until no centroid moves.

    .. math:: a_i = \\arg\\min_k |x_i - c_k|, \\qquad c_k = \\frac{\\sum_{a_i = k} h_i x_i}{\\sum_{a_i = k} h_i}

    Centroids stay sorted, so that each assignment is a binary search without a distance matrix. Outside of `jit` on one
    CPU, NumPy sorts the values once; a step then only reads prefix sums at the edges of the clusters.

    Source: linear start: Han et al., arXiv:1510.00149 (han2016).
    """
    host, h = on_host(x), None if weights is None else on_host(weights)
    if host is not None and (weights is None or h is not None):
        begin = None if init == "linear" else on_host(_begin(x, key, clusters, init, ignore_zeros))
        return _on_host(host, clusters, iterations, ignore_zeros, h, begin)
    fit = functools.partial(_lloyd, clusters=clusters, init=init, iterations=iterations, ignore_zeros=ignore_zeros)
    return with_auto_axes(fit, (jnp.zeros(clusters), x))(x, weights, key)


def _lloyd(
    x: jax.Array, weights: Any, key: Any, clusters: int, init: str, iterations: int, ignore_zeros: bool
) -> tuple[jax.Array, jax.Array]:
    # Not flattened: that would gather what is split along its last axis.
    flat, counted = _counted(x, ignore_zeros)
    begin = start(flat, counted, clusters, init, key)
    if weights is not None:
        counted = jnp.where(counted, weights.reshape(x.shape), 0.0)

    def step(carry: Any) -> Any:
        centroids, _, count = carry
        new = cluster_means(flat, assign(flat, centroids), centroids, counted)
        return new, jnp.any(new != centroids), count + 1

    def moving(carry: Any) -> jax.Array:
        return carry[1] & (carry[2] < iterations)

    centroids, _, _ = jax.lax.while_loop(moving, step, (begin, jnp.array(True), jnp.zeros((), jnp.int32)))
    return centroids, assign(flat, centroids)


def _counted(x: jax.Array, ignore_zeros: bool) -> tuple[jax.Array, jax.Array]:
    flat = x.astype(jnp.float32)
    return flat, flat != 0 if ignore_zeros else jnp.ones(flat.shape, bool)


@functools.partial(jax.jit, static_argnums=(2, 3, 4))
def _begin(x: jax.Array, key: Any, clusters: int, init: str, ignore_zeros: bool) -> jax.Array:
    return start(*_counted(x, ignore_zeros), clusters, init, key)


def _on_host(
    x: np.ndarray,
    clusters: int,
    iterations: int,
    ignore_zeros: bool,
    weights: np.ndarray | None,
    begin: np.ndarray | None,
) -> tuple[jax.Array, jax.Array]:
    flat = x.astype(np.float32).ravel()
    counted = flat != 0 if ignore_zeros else slice(None)
    if weights is None:
        ordered = np.sort(flat[counted])
        masses, sums = np.arange(ordered.size + 1), _sums(ordered)
    else:
        order = np.argsort(flat[counted], kind="stable")
        ordered, h = flat[counted][order], weights.ravel()[counted][order].astype(np.float64)
        masses, sums = _sums(h), _sums(h * ordered)
    if begin is None:
        low, high = (ordered[0], ordered[-1]) if ordered.size else (np.float32(0), np.float32(0))
        begin = low + (high - low) * np.linspace(0.0, 1.0, clusters, dtype=np.float32)
    centroids = begin
    for _ in range(iterations):
        cuts = np.concatenate([[0], np.searchsorted(ordered, _edges(centroids), side="right"), [ordered.size]])
        members = np.diff(masses[cuts])
        means = np.where(members > 0, np.diff(sums[cuts]) / np.where(members > 0, members, 1), centroids)
        means = means.astype(np.float32)
        if np.array_equal(means, centroids):
            break
        centroids = means
    edges = _edges(centroids)
    if edges.size <= 16:  # comparisons vectorize, a binary search does not
        codes = np.zeros(flat.shape, np.int32)
        for edge in edges:
            codes += flat > edge
    else:
        codes = np.searchsorted(edges, flat).astype(np.int32)
    return jnp.asarray(centroids), jnp.asarray(codes.reshape(x.shape))


def _sums(x: np.ndarray) -> np.ndarray:
    return np.concatenate([[0.0], np.cumsum(x, dtype=np.float64)])


def _edges(centroids: Any) -> Any:
    return centroids[:-1] + (centroids[1:] - centroids[:-1]) / 2


def assign(x: jax.Array, centroids: jax.Array) -> jax.Array:
    """Index of the nearest centroid; ties go to the smaller one.

    .. math:: a_i = |\\{k : x_i > (c_k + c_{k+1}) / 2\\}|
    """
    edges = _edges(centroids)
    if edges.size > 16:  # the plain binary search does not vectorize
        return jnp.searchsorted(edges, x, method="scan_unrolled").astype(jnp.int32)
    codes = jnp.zeros(x.shape, jnp.int32)
    # Faster for few edges, in one pass; `compare_all` of JAX stores the comparisons.
    for i in range(edges.size):
        codes += x > edges[i]
    return codes


def cluster_means(x: jax.Array, codes: jax.Array, centroids: jax.Array, counted: jax.Array) -> jax.Array:
    """Mean of the members of every cluster, differentiable with respect to `x`.

    .. math:: m_k = c_k + \\frac{\\sum_{a_i = k} (x_i - c_k)}{|\\{i : a_i = k\\}|}

    Sums differences from `centroids`, which is accurate in float32 for millions of members. Clusters without members
    keep their centroids. `counted` are Booleans, or weights of at least 0.
    """
    return with_whole_results(_cluster_means, (x, codes))(x, codes, centroids, counted)


def _cluster_means(x: jax.Array, codes: jax.Array, centroids: jax.Array, counted: jax.Array) -> jax.Array:
    k = centroids.shape[0]
    weights = counted.astype(jnp.float32)
    away = weights * (x - jnp.take(centroids, codes, mode="clip"))
    sums, counts = totals(away, codes, k), totals(weights, codes, k)
    return centroids + sums / jnp.where(counts > 0, counts, 1.0)
