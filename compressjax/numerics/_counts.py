"""Exact counts of any size without 64-bit integers: two int32 limbs."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.numerics._host import on_host

_BITS = 24  # of the lower limb, so that both limbs are exact in float32
INT32 = 2**31  # the first count that int32 does not hold


class Count(NamedTuple):
    """The number `high 2^24 + low`, with `0 <= low < 2^24`; both are int32 arrays of one shape."""

    high: jax.Array
    low: jax.Array


def exact(number: Any) -> Count:
    """A count from integers of Python and NumPy of any size, or from an array of integers."""
    if isinstance(number, Count):
        return number
    wide = number if isinstance(number, jax.Array) else np.asarray(number, np.int64)
    return Count(jnp.asarray(wide >> _BITS, jnp.int32), jnp.asarray(wide & (2**_BITS - 1), jnp.int32))


def rounded(x: jax.Array) -> Count:
    """The integer nearest to a float, which is at least 0."""
    whole = jnp.round(x)
    high = jnp.floor(whole / 2**_BITS)
    return Count(high.astype(jnp.int32), (whole - high * 2**_BITS).astype(jnp.int32))


def as_float(count: Any) -> jax.Array:
    """The float32 nearest to a count."""
    return difference(count, 0)


def plus(a: Count, b: Count) -> Count:
    """The sum of two counts."""
    low = a.low + b.low
    return Count(a.high + b.high + (low >> _BITS), low & (2**_BITS - 1))


def difference(a: Any, b: Any) -> jax.Array:
    """`a - b` in float32, rounded; its sign is exact, and it is 0 only if the counts are equal."""
    a, b = exact(a), exact(b)
    return (a.high - b.high).astype(jnp.float32) * 2**_BITS + (a.low - b.low).astype(jnp.float32)


def choose(condition: Any, a: Any, b: Any) -> Any:
    """`jnp.where` for counts (integers of any size), and for floats."""
    if isinstance(a, float) or isinstance(b, float):
        return jnp.where(condition, a, b)
    return jax.tree.map(lambda x, y: jnp.where(condition, x, y), exact(a), exact(b))


def entries(masks: Sequence[jax.Array]) -> Count:
    """How many entries of some masks are true."""
    total, part, size = exact(0), jnp.zeros((), jnp.int32), 0
    for mask in masks:
        if mask.size >= INT32:
            total = plus(total, _entries_of_long(mask))
            continue
        if size + mask.size >= INT32:
            total, part, size = plus(total, exact(part)), jnp.zeros((), jnp.int32), 0
        # On CPUs, sums of floats are twice as fast as sums of integers, and they are exact up to 2^24.
        kind = jnp.float32 if mask.size <= 2**24 else jnp.int32
        part, size = part + jnp.sum(mask, dtype=kind).astype(jnp.int32), size + mask.size
    return plus(total, exact(part))


def _entries_of_long(mask: jax.Array) -> Count:
    along = int(np.argmax(mask.shape))
    rows = exact(jnp.sum(mask, axis=[i for i in range(mask.ndim) if i != along], dtype=jnp.int32))
    zero = np.int32(0)
    return Count(*jax.lax.reduce((*rows,), (zero, zero), lambda a, b: (*plus(Count(*a), Count(*b)),), (0,)))


def running(counts: Count, total: int) -> Count:
    """Cumulative sums of a vector of counts that add up to at most `total`."""
    if total < INT32:
        return exact(jnp.cumsum(counts.high * 2**_BITS + counts.low))
    summed: Count = jax.lax.associative_scan(plus, counts)
    return summed


def known(count: Any) -> int | None:
    """A count as an integer, or None if it is traced or not on the host."""
    if isinstance(count, int):
        return count
    limbs = [on_host(x) for x in exact(count)]
    high, low = limbs
    return None if high is None or low is None else int(high) * 2**_BITS + int(low)


def number_of(mask: jax.Array) -> int:
    """How many entries of a mask with known values are true."""
    host = on_host(mask)
    if host is not None:
        return int(np.count_nonzero(host))
    high, low = entries([mask])
    return int(high) * 2**_BITS + int(low)
