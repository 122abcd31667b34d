"""The largest entries without sorting, of one array or of many."""

import functools
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

# Steps of false position after which a search halves.
_TRIES = 24
# Along axes up to this length entries are ranked by comparing all pairs.
_SHORT = 32


def top_mask(scores: jax.Array, count: jax.Array | int) -> jax.Array:
    """Mask of exactly the `count` largest scores, ties to the smaller index.

    The order of floats is the order of their bits, among which false position finds the threshold, and then the index
    up to which ties at it are kept; each takes at most 56 counts. The search ends at the first number that exactly
    `count` scores reach, among different weights mostly long before. On CPUs this is faster than sorting, and on
    sharded arrays every count is one small sum.

    Args:
        scores: Any shape, floating, fewer than 2^31 entries; compared in float32, where numbers below 1.2e-38 may
            count as zero. NaN comes after minus infinity.
        count: How many to keep, 0 to `scores.size`; may be traced.

    Returns:
        Bool array of the scores' shape with exactly `count` True entries.

    Example:
        >>> top_mask(jnp.array([1.0, 3.0, 3.0]), 1).tolist()
        [False, True, False]
    """
    return top_masks({"": scores}, count)[""]


def top_along(scores: jax.Array, count: jax.Array | int, axis: int) -> jax.Array:
    """Mask of the `count` largest scores along an axis, everywhere for itself, as `top_mask` finds them.

    Where the axis is short, as in the groups of N:M patterns, an entry stays when fewer than `count` others beat it:

    .. math:: |\\{j : s_j > s_i\\} \\cup \\{j < i : s_j = s_i\\}| < count

    Args:
        scores: Any shape, floating.
        count: How many to keep, 0 to the length of the axis; may be traced.
        axis: Along which they compete.

    Returns:
        Bool array of the scores' shape with exactly `count` True entries along the axis.

    Example:
        >>> top_along(jnp.array([[1.0, 3.0, 3.0], [0.0, -1.0, -2.0]]), 1, 1).tolist()
        [[False, True, False], [True, False, False]]
    """
    length = scores.shape[axis]
    if length == scores.size:
        return top_mask(scores, count)
    if length > _SHORT:
        rows = jnp.moveaxis(scores, axis, -1)
        found = jax.vmap(lambda row: top_mask(row, count))(rows.reshape(-1, length))
        return jnp.moveaxis(found.reshape(rows.shape), -1, axis)
    keys = _keys(scores)
    places = jax.lax.broadcasted_iota(jnp.int32, keys.shape, axis % keys.ndim)
    beaten = jnp.zeros(keys.shape, jnp.int32)
    # One by one, not as an array of all pairs: this way the compiler makes one pass over the scores of it.
    for place in range(length):
        other = jax.lax.slice_in_dim(keys, place, place + 1, axis=axis)
        beaten += jnp.where(places > place, other >= keys, other > keys)
    return beaten < count


def top_masks(scores: Mapping[str, jax.Array], count: jax.Array | int) -> dict[str, jax.Array]:
    """Masks of exactly the `count` largest scores of several arrays together, ties to the earlier array and index.

    The arrays share one threshold `t`, found as in `top_mask` from the sum of their counts:

    .. math:: \\sum_l |\\{i : s_{li} > t\\}| < n \\le \\sum_l |\\{i : s_{li} \\ge t\\}|

    Nothing is concatenated or reshaped, so sharded arrays stay where they are, and what devices exchange is at most
    115 numbers for each array, however large the arrays.

    Args:
        scores: `{name: array}`, each as for `top_mask`; fewer than 2^31 entries together.
        count: How many to keep in all, from 0 to the number of entries; may be traced.

    Returns:
        `{name: bool array}`.

    Example:
        >>> masks = top_masks({"a": jnp.array([1.0, 3.0]), "b": jnp.array([3.0, 2.0])}, 2)
        >>> {name: mask.tolist() for name, mask in masks.items()}
        {'a': [False, True], 'b': [True, False]}
    """
    return dict(zip(scores, _top_masks(list(scores.values()), count), strict=True))


# Outside of jit, the loops inside would be compiled anew at every call; inside, nothing changes.
@functools.partial(jax.jit, inline=True)
def _top_masks(scores: Sequence[jax.Array], count: jax.Array | int) -> list[jax.Array]:
    keys = [_keys(x) for x in scores]

    def total(where: Callable[[int], jax.Array]) -> jax.Array:
        return sum((_count(where(i)) for i in range(len(keys))), jnp.zeros((), jnp.int32))

    size = sum(x.size for x in scores)
    wanted = jnp.asarray(count, jnp.int32)
    ends = [(jnp.min(x), jnp.max(x)) for x in keys if x.size]
    low = functools.reduce(jnp.minimum, (least for least, _ in ends), jnp.uint32(2**32 - 2))
    high = functools.reduce(jnp.maximum, (most for _, most in ends), low) + jnp.uint32(1)
    threshold, surplus = _search(
        lambda key: total(lambda i: keys[i] >= key) - wanted, low, high, size - wanted, -wanted
    )
    first = list(itertools.accumulate((x.size for x in scores), initial=0))

    def tied(i: int, stop: jax.Array) -> jax.Array:
        return (keys[i] == threshold) & (_positions(keys[i].shape, first[i]) < stop)

    def break_ties() -> jax.Array:
        missing = wanted - total(lambda i: keys[i] > threshold)
        least, most = jnp.uint32(0), jnp.uint32(size)
        return _search(lambda stop: missing - total(lambda i: tied(i, stop)), least, most, missing, -surplus)[0]

    # Mostly the scores that reach the threshold are as many as asked for, and no tie has to be broken.
    stop = jax.lax.cond(surplus == 0, lambda: jnp.uint32(2**32 - 1), break_ties)
    return [(x > threshold) | tied(i, stop) for i, x in enumerate(keys)]


def _count(mask: jax.Array) -> jax.Array:
    # Sums of floats are vectorized on CPUs, twice as fast as those of integers, and exact up to 2^24.
    return jnp.sum(mask, dtype=jnp.float32 if mask.size <= 2**24 else jnp.int32).astype(jnp.int32)


def _keys(scores: jax.Array) -> jax.Array:
    """Unsigned numbers in the order of the scores."""
    # -0 and 0 have different bits but are the same score; adding zero would do until the compiler removes it.
    numbers = scores.astype(jnp.float32)
    bits = jax.lax.bitcast_convert_type(jnp.where(numbers == 0, jnp.float32(0), numbers), jnp.int32)
    flipped = jnp.where(bits < 0, ~bits, bits ^ np.int32(-(2**31)))
    return jnp.where(jnp.isnan(scores), jnp.uint32(0), jax.lax.bitcast_convert_type(flipped, jnp.uint32))


def _positions(shape: tuple[int, ...], first: int) -> jax.Array:
    """Place of every entry in row-major order; flattening instead would gather a sharded array."""
    place = jnp.full(shape, first, jnp.uint32)
    for axis in range(len(shape)):
        stride = np.uint32(math.prod(shape[axis + 1 :]))
        place = place + jax.lax.broadcasted_iota(jnp.uint32, shape, axis) * stride
    return place


def _search(
    gap: Callable[[jax.Array], jax.Array], low: jax.Array, high: jax.Array, at_low: jax.Array, at_high: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """A number at which a falling function of 32-bit numbers is 0, or the largest at which it is positive; its value.

    False position: the next try is where a straight line between the two ends would be 0. An end that stays counts
    for half each time (the Illinois rule), tries keep a distance from both ends, and after `_TRIES` the interval is
    halved instead, so that no function takes more than `_TRIES + 32` of them.
    """

    def going(state: tuple[Any, ...]) -> jax.Array:
        _, low, high, value, *_ = state
        return (value != 0) & (high - low > 1)

    def narrow(state: tuple[Any, ...]) -> tuple[Any, ...]:
        tries, low, high, value, above, below, stayed = state
        width = high - low
        share = jnp.where(tries < _TRIES, jnp.clip(above / (above - below), 1 / 16, 15 / 16), 0.5)
        way = (share * width.astype(jnp.float32)).astype(jnp.uint32)
        middle = low + jnp.clip(way, jnp.uint32(1), width - jnp.uint32(1))
        here = gap(middle)
        up, weight = here >= 0, here.astype(jnp.float32)
        side = jnp.where(up, jnp.int32(1), jnp.int32(-1))
        again = jnp.where(stayed == side, jnp.float32(0.5), jnp.float32(1.0))
        return (
            tries + 1, jnp.where(up, middle, low), jnp.where(up, high, middle), jnp.where(up, here, value),
            jnp.where(up, weight, above * again), jnp.where(up, below * again, weight), side,
        )  # fmt: skip

    exact = at_high == 0
    start = jnp.where(exact, high, low), jnp.where(exact, 0, at_low)
    weights = (x.astype(jnp.float32) for x in (at_low, at_high))
    zero = jnp.zeros((), jnp.int32)
    _, found, _, value, *_ = jax.lax.while_loop(going, narrow, (zero, start[0], high, start[1], *weights, zero))
    return found, value
