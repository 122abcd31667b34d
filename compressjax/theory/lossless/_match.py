"""The longest repeat: what followed the last time that the text read as it does now."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.theory.lossless._contexts import scramble
from compressjax.theory.lossless._logistic import get, put

LONGEST = 32  # bytes that are compared, and zeros in front of the text
_SHORTEST = 5
BUCKETS = 16


class Match(NamedTuple):
    """Where hashes of contexts were last seen, the hash that comes next, the repeated place, for how many bytes."""

    seen: jax.Array
    key: jax.Array
    at: jax.Array
    length: jax.Array


def start(bits: int) -> Match:
    """Nothing seen."""
    zero = jnp.zeros((), jnp.int32)
    return Match(jnp.zeros(2**bits, jnp.int32), zero, zero, zero)


def follow(match: Match, text: jax.Array, end: jax.Array, hashes: jax.Array, now: jax.Array) -> Match:
    """The match after the byte before `end`, which counts the zeros in front; as it was unless `now`.

    The place of a hash is written one byte late, before the table is read: XLA then needs no copy of it.
    """
    seen = put(match.seen, jnp.where(now, end - 1, end), match.key)
    key = scramble(hashes[0] + np.uint32(0x9E3779B1) * (hashes[1] & 255))
    key = (key & np.uint32(len(match.seen) - 1)).astype(jnp.int32)
    goes_on = (match.length > 0) & (get(text, match.at) == get(text, end - 1))
    last = get(seen, key)
    at = jnp.where(goes_on, match.at + 1, last)
    then, here = (jax.lax.dynamic_slice(text, (jnp.maximum(i - LONGEST, 0),), (LONGEST,)) for i in (at, end))
    same = jnp.cumprod((then == here)[::-1].astype(jnp.int32)).sum()
    length = jnp.where(goes_on, jnp.minimum(match.length + 1, 4096), jnp.where(same < _SHORTEST, 0, same))
    length = jnp.where(at > 0, length, 0).astype(jnp.int32)
    fresh = (jnp.where(now, *pair) for pair in zip((key, at, length), match[1:], strict=True))
    return Match(seen, *fresh)


def expected(match: Match, text: jax.Array, partial: jax.Array, done: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The bit that the repeat expects next, and a bucket of its length; bucket 0 where it expects nothing.

    `partial` is a one and the `done` first bits of the byte.
    """
    byte = get(text, match.at).astype(jnp.int32) | 256
    holds = (match.length > 0) & (byte >> (8 - done) == partial)
    length = match.length
    bucket = jnp.where(length < 16, length >> 1, jnp.minimum(8 + (length >> 4), BUCKETS - 1))
    return byte >> (7 - done) & 1, jnp.where(holds, bucket, 0)
