"""Initial centroids of Lloyd's iteration."""

from typing import Any

import jax
import jax.numpy as jnp

INITS = ("linear", "quantile", "density", "random", "optimal")
_FINE = 4096
_COARSE = 1024


def start(flat: jax.Array, counted: jax.Array, clusters: int, init: str, key: jax.Array | None = None) -> jax.Array:
    """Initial centroids, ascending: equal steps, equal counts, draws, or the least squared error over 1024 bins.

    Source: `"linear"`: Han et al., arXiv:1510.00149 (han2016); `"optimal"`, a dynamic program: Groenlund et al.,
    arXiv:1701.07204 (gronlund2017).
    """
    low = jnp.min(flat, initial=jnp.inf, where=counted)
    high = jnp.max(flat, initial=-jnp.inf, where=counted)
    low, high = jnp.where(low > high, 0.0, low), jnp.where(low > high, 0.0, high)
    if init == "linear":
        return low + (high - low) * jnp.linspace(0.0, 1.0, clusters, dtype=jnp.float32)
    if init == "random":
        return jnp.clip(_drawn(flat, counted, clusters, key), low, high)
    found = _segments if init == "optimal" else _quantiles
    return jnp.clip(found(flat, counted, clusters, low, high), low, high)


def totals(x: jax.Array, places: jax.Array, count: int) -> jax.Array:
    """Sums of the entries at each of `count` places, in float32; arrays of any shape stay as they are."""
    return jnp.zeros(count, jnp.float32).at[places.astype(jnp.int32)].add(x.astype(jnp.float32))


def _bins(flat: jax.Array, low: jax.Array, high: jax.Array, bins: int) -> tuple[jax.Array, jax.Array]:
    """Index of the bin of every entry, and the width of a bin."""
    width = jnp.where(high > low, (high - low) / bins, 1.0)
    return jnp.clip(jnp.floor((flat - low) / width), 0, bins - 1).astype(jnp.int32), width


def _drawn(flat: jax.Array, counted: jax.Array, k: int, key: jax.Array | None) -> jax.Array:
    """Entries drawn without replacement; where there are too few, the last ones are those that do not count."""
    ranks = jnp.where(counted, jax.random.uniform(jnp.asarray(key), flat.shape), 2.0)
    flat, chosen = flat.ravel(), jnp.argsort(ranks.ravel())[:k]
    return jnp.sort(jnp.pad(flat[chosen], (0, k - chosen.shape[0]), mode="edge" if chosen.shape[0] else "constant"))


def _quantiles(flat: jax.Array, counted: jax.Array, k: int, low: jax.Array, high: jax.Array) -> jax.Array:
    """Quantiles from a fine histogram, because sorting a million values takes longer than all iterations."""
    index, width = _bins(flat, low, high, _FINE)
    below = _prefix(totals(counted, index, _FINE))
    wanted = (jnp.arange(k, dtype=jnp.float32) + 0.5) / k * below[-1]
    return jnp.interp(wanted, below, low + width * jnp.arange(_FINE + 1, dtype=jnp.float32))


def _segments(flat: jax.Array, counted: jax.Array, k: int, low: jax.Array, high: jax.Array) -> jax.Array:
    """Means of the k runs of bins with the least total squared error."""
    index, _ = _bins(flat, low, high, _COARSE)
    # Scale to half the range around its middle, so that sums of squares are accurate in float32.
    middle, half = (low + high) / 2, jnp.where(high > low, (high - low) / 2, 1.0)
    x = jnp.where(counted, (flat - middle) / half, 0.0)
    count, first, second = (_prefix(totals(y, index, _COARSE)) for y in (counted, x, jnp.square(x)))
    members = count[None, :] - count[:, None]
    sums = first[None, :] - first[:, None]
    cost = second[None, :] - second[:, None] - jnp.square(sums) / jnp.maximum(members, 1.0)
    ordered = jnp.arange(_COARSE + 1)[:, None] <= jnp.arange(_COARSE + 1)[None, :]
    cost = jnp.where(ordered, jnp.maximum(cost, 0.0), jnp.inf)

    def layer(best: jax.Array, _: Any) -> tuple[jax.Array, jax.Array]:
        totals = best[:, None] + cost
        cut = jnp.argmin(totals, axis=0)
        return jnp.min(totals, axis=0), cut

    def back(end: jax.Array, cut: jax.Array) -> tuple[jax.Array, jax.Array]:
        return cut[end], cut[end]

    _, cuts = jax.lax.scan(layer, cost[0], length=k - 1)
    last = jnp.asarray(_COARSE, cuts.dtype)
    _, begins = jax.lax.scan(back, last, cuts, reverse=True)
    edges = jnp.concatenate([jnp.zeros(1, cuts.dtype), begins, last[None]])
    inside = count[edges[1:]] - count[edges[:-1]]
    means = (first[edges[1:]] - first[edges[:-1]]) / jnp.maximum(inside, 1.0)
    # A run without members gets its own edge as centroid, which keeps the order.
    at_edge = 2.0 * edges[1:].astype(jnp.float32) / _COARSE - 1.0
    return middle + half * jnp.where(inside > 0, means, at_edge)


def _prefix(x: jax.Array) -> jax.Array:
    return jnp.concatenate([jnp.zeros(1, x.dtype), jnp.cumsum(x)])
