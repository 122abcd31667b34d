"""Masks of the largest entries of one or several arrays, without sorting."""

import functools
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.numerics._counts import Count, difference, entries, exact, known, plus
from compressjax.numerics._host import on_host

# Steps of false position before a search switches to bisection.
_TRIES = 24
# On axes up to this length, entries are ranked by comparing all pairs.
_SHORT = 32
_POSITIONS = 2**32


def top_mask(scores: jax.Array, count: jax.Array | Count | int) -> jax.Array:
    """Returns a mask of exactly the `count` largest scores; ties go to the smaller index.

    Floats are mapped to integers of the same order. A search by false position finds the threshold among these, and a
    second search the index up to which ties are kept. Each takes at most 56 counts, and stops as soon as exactly
    `count` scores reach the threshold. On CPUs this is faster than sorting. On sharded arrays every count is one small
    sum. Scores compare in float32, where numbers below 1.2e-38 may count as zero; NaN is smaller than minus infinity.
    """
    return top_masks({"": scores}, count)[""]


def top_along(scores: jax.Array, count: jax.Array | Count | int, axis: int) -> jax.Array:
    """Returns a mask of the `count` largest scores of every slice along an axis, as `top_mask` does.

    On a short axis, as for N:M patterns, an entry is kept if fewer than `count` entries rank before it:

    .. math:: |\\{j : s_j > s_i\\} \\cup \\{j < i : s_j = s_i\\}| < count
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
    # Loop instead of forming an array of all pairs, so that the compiler fuses this into one pass over the scores.
    for place in range(length):
        other = jax.lax.slice_in_dim(keys, place, place + 1, axis=axis)
        beaten += jnp.where(places > place, other >= keys, other > keys)
    return beaten < exact(count).low


def top_masks(scores: Mapping[str, jax.Array], count: jax.Array | Count | int) -> dict[str, jax.Array]:
    """Returns masks of exactly the `count` largest scores of all arrays; ties go to the earlier array and index.

    The arrays share one threshold `t`, found as in `top_mask` from the sum of their counts:

    .. math:: \\sum_l |\\{i : s_{li} > t\\}| < n \\le \\sum_l |\\{i : s_{li} \\ge t\\}|

    Nothing is concatenated or reshaped: arrays stay sharded, and devices exchange at most 115 numbers per array.
    Counts are exact for any number of scores; one array has at most `2^32 - 1`.
    Outside of `jit` on one CPU, NumPy finds the threshold, without compilation.
    """
    host = [on_host(x) for x in scores.values()]
    number = known(count)
    if number is not None and all(x is not None for x in host):
        return dict(zip(scores, _host_masks([x for x in host if x is not None], number), strict=True))
    for path, x in scores.items():
        if x.size >= _POSITIONS:
            raise ValueError(f"{path!r} has {x.size} weights, and at most {_POSITIONS - 1} of one array can be ranked; "
                             "split it, by layers or rows, or leave it out with a selector")  # fmt: skip
    return dict(zip(scores, _top_masks(list(scores.values()), exact(count)), strict=True))


def _host_masks(scores: Sequence[np.ndarray], count: int) -> list[jax.Array]:
    keys = [_host_keys(x) for x in scores]
    every = np.concatenate([x.ravel() for x in keys]) if len(keys) > 1 else keys[0].ravel()
    if not 0 < count < every.size:
        return [jnp.full(x.shape, count > 0, bool) for x in keys]
    threshold = np.partition(every, every.size - count)[every.size - count]
    mask = every > threshold
    mask[np.flatnonzero(every == threshold)[: count - int(np.count_nonzero(mask))]] = True
    parts = np.split(mask, list(itertools.accumulate(x.size for x in keys))[:-1])
    return [jnp.asarray(part.reshape(x.shape)) for part, x in zip(parts, keys, strict=True)]


def _host_keys(scores: np.ndarray) -> np.ndarray:
    """`_keys` in NumPy."""
    numbers = scores.astype(np.float32)
    bits = np.where(numbers == 0, np.float32(0), numbers).view(np.int32)
    flipped = np.where(bits < 0, ~bits, bits ^ np.int32(-(2**31)))
    return np.where(np.isnan(numbers), np.uint32(0), flipped.view(np.uint32))


# Outside of jit, this avoids compiling the loops at every call; inside, it changes nothing.
@functools.partial(jax.jit, inline=True)
def _top_masks(scores: Sequence[jax.Array], wanted: Count) -> list[jax.Array]:
    keys = [_keys(x) for x in scores]
    ends = [(jnp.min(x), jnp.max(x)) for x in keys if x.size]
    low = functools.reduce(jnp.minimum, (smallest for smallest, _ in ends), jnp.uint32(2**32 - 2))
    high = functools.reduce(jnp.maximum, (largest for _, largest in ends), low) + jnp.uint32(1)
    size = exact(sum(x.size for x in scores))
    threshold, surplus = _search(
        lambda key: difference(entries([x >= key for x in keys]), wanted), low, high,
        difference(size, wanted), difference(0, wanted)
    )  # fmt: skip

    places, sizes = _places([x.size for x in scores])

    def tied(last: jax.Array, stop: jax.Array) -> list[jax.Array]:
        """Ties of the blocks before `last`, and those of `last` before the position `stop`."""
        return [
            (x == threshold) & ((block < last) | ((block == last) & (_positions(x.shape, first) < stop)))
            for x, (block, first) in zip(keys, places, strict=True)
        ]

    def break_ties() -> tuple[jax.Array, jax.Array]:
        blocks = [[x == threshold for x, place in zip(keys, places) if place[0] == b] for b in range(len(sizes) - 1)]
        above = entries([x > threshold for x in keys])
        sums = itertools.accumulate([above, *map(entries, blocks)], plus)
        # What is missing before each block, and after the last one.
        missing = [*(difference(wanted, total) for total in sums), -surplus]
        last = sum(((x > 0).astype(jnp.int32) for x in missing[1:-1]), jnp.int32(0))
        ends, end = jnp.stack(missing), jnp.asarray(sizes, jnp.uint32)[last]
        found = _search(
            lambda stop: difference(wanted, plus(above, entries(tied(last, stop)))), jnp.uint32(0), end,
            ends[last], ends[last + 1]
        )  # fmt: skip
        return last, found[0]

    # Usually exactly `count` scores reach the threshold, so that there are no ties to break.
    every = jnp.int32(len(sizes)), jnp.uint32(0)
    ties = tied(*jax.lax.cond(surplus == 0, lambda: every, break_ties))
    return [(x > threshold) | equal for x, equal in zip(keys, ties, strict=True)]


def _keys(scores: jax.Array) -> jax.Array:
    """Unsigned integers in the order of the scores."""
    # -0 and 0 are equal but have different bits. The compiler would remove an addition of zero.
    numbers = scores.astype(jnp.float32)
    bits = jax.lax.bitcast_convert_type(jnp.where(numbers == 0, jnp.float32(0), numbers), jnp.int32)
    flipped = jnp.where(bits < 0, ~bits, bits ^ np.int32(-(2**31)))
    return jnp.where(jnp.isnan(scores), jnp.uint32(0), jax.lax.bitcast_convert_type(flipped, jnp.uint32))


def _places(lengths: Sequence[int]) -> tuple[list[tuple[int, int]], list[int]]:
    """Block and first position of every array, and the lengths of the blocks, in which uint32 counts positions."""
    places, sizes = [], [0]
    for length in lengths:
        if sizes[-1] + length >= _POSITIONS:
            sizes.append(0)
        places.append((len(sizes) - 1, sizes[-1]))
        sizes[-1] += length
    return places, sizes


def _positions(shape: tuple[int, ...], first: int) -> jax.Array:
    """Row-major index of every entry, without flattening, which would gather a sharded array."""
    place = jnp.full(shape, first, jnp.uint32)
    for axis in range(len(shape)):
        stride = np.uint32(math.prod(shape[axis + 1 :]))
        place = place + jax.lax.broadcasted_iota(jnp.uint32, shape, axis) * stride
    return place


def _search(
    gap: Callable[[jax.Array], jax.Array], low: jax.Array, high: jax.Array, at_low: jax.Array, at_high: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """A root of a decreasing function of uint32, or the largest number where it is positive, and the value there.

    It uses false position with the Illinois rule: an end that stays twice gets half of its weight. Steps keep a
    distance from both ends. After `_TRIES` steps it switches to bisection, so it takes at most `_TRIES + 32` steps.
    """

    def going(state: tuple[Any, ...]) -> jax.Array:
        _, low, high, value, *_ = state
        return (value != 0) & (high - low > 1)

    def narrow(state: tuple[Any, ...]) -> tuple[Any, ...]:
        tries, low, high, value, above, below, stayed = state
        width = high - low
        share = jnp.where(tries < _TRIES, jnp.clip(above / (above - below), 1 / 16, 15 / 16), 0.5)
        progress = (share * width.astype(jnp.float32)).astype(jnp.uint32)
        middle = low + jnp.clip(progress, jnp.uint32(1), width - jnp.uint32(1))
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
