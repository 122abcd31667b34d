"""A random sample of rows that merges: the rows with the smallest random numbers."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.numerics._counts import Count, exact, plus

_NONE = np.uint32(2**32 - 1)  # the number of a free place


class Sample(NamedTuple):
    """At most `capacity` rows, uniform among those seen; `rank` orders them, and is the greatest number where free."""

    seen: Count
    rank: jax.Array
    x: jax.Array
    y: jax.Array
    key: jax.Array


def no_sample(capacity: int, features: int, key: jax.Array) -> Sample:
    """The sample of no rows."""
    data = jax.random.key_data(key).reshape(-1).astype(jnp.uint32)
    return Sample(exact(0), jnp.full(capacity, _NONE), jnp.zeros((capacity, features)), jnp.zeros(capacity), data)


def sampled(state: Sample, x: jax.Array, y: jax.Array | None = None) -> Sample:
    """The sample after some more rows.

    The number of a row comes from the key, its place in the stream and its values, so that the size of batches does
    not matter, and partitions that start from one key do not choose alike.
    """
    rows = x.astype(jnp.float32)
    labels = jnp.zeros(len(rows)) if y is None else y.astype(jnp.float32)
    place = jnp.arange(len(rows), dtype=jnp.uint32) + state.seen.low.astype(jnp.uint32)
    odd = 2 * _mixed(jnp.arange(rows.shape[1], dtype=jnp.uint32)) + 1
    bits = jax.lax.bitcast_convert_type(rows, jnp.uint32)
    rank = _mixed(jnp.sum(bits * odd[None], axis=1) ^ _mixed(place ^ state.key[0]) ^ state.key[-1])
    more = Sample(exact(len(rows)), jnp.minimum(rank, _NONE - 1), rows, labels, state.key)
    return joined(state, more)


def joined(a: Sample, b: Sample) -> Sample:
    """The sample of the rows of both, of the capacity of the first."""
    rank = jnp.concatenate([a.rank, b.rank])
    order = jnp.argsort(rank, stable=True)[: len(a.rank)]
    x, y = jnp.concatenate([a.x, b.x])[order], jnp.concatenate([a.y, b.y])[order]
    return Sample(plus(a.seen, b.seen), rank[order], x, y, a.key)


def rows_in(state: Sample) -> tuple[np.ndarray, np.ndarray]:
    """Rows and labels of the sample in float64, for the host."""
    there = np.asarray(state.rank) != _NONE
    return np.asarray(state.x, np.float64)[there], np.asarray(state.y, np.float64)[there]


def _mixed(x: Any) -> jax.Array:
    """Scrambles 32 bits; every bit of the result depends on all of them (the finalizer of MurmurHash3)."""
    x = (x ^ (x >> 16)) * np.uint32(0x85EBCA6B)
    x = (x ^ (x >> 13)) * np.uint32(0xC2B2AE35)
    return x ^ (x >> 16)
