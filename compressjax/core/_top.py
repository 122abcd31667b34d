"""The largest entries without sorting, of one array or of many."""

import itertools
import math
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np


def top_mask(scores: jax.Array, count: jax.Array | int) -> jax.Array:
    """Mask of exactly the `count` largest scores, ties to the smaller index.

    The order of floats is the order of their bits, so 32 counts find the threshold bit by bit, and 32 more the index
    up to which ties at the threshold are kept. The search ends at the first number that exactly `count` scores reach:
    of some 100,000 different weights, mostly after 18 to 30 counts. On CPUs this is about twenty times faster than
    sorting, and on sharded arrays every count is one small sum.

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


def top_masks(scores: Mapping[str, jax.Array], count: jax.Array | int) -> dict[str, jax.Array]:
    """Masks of exactly the `count` largest scores of several arrays together, ties to the earlier array and index.

    The arrays share one threshold `t`, found as in `top_mask` from the sum of their counts:

    .. math:: \\sum_l |\\{i : s_{li} > t\\}| < n \\le \\sum_l |\\{i : s_{li} \\ge t\\}|

    Nothing is concatenated or reshaped, so sharded arrays stay where they are, and what devices exchange is at most
    65 numbers for each array, however large the arrays.

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
    keys = {name: _keys(x) for name, x in scores.items()}

    def total(where: Callable[[str], jax.Array]) -> jax.Array:
        return sum((jnp.sum(where(name)) for name in keys), jnp.zeros((), jnp.int32))

    size = sum(x.size for x in scores.values())
    threshold, reached = _search(lambda key: total(lambda name: keys[name] >= key), count, size, jnp.greater_equal)
    first = dict(zip(scores, itertools.accumulate((x.size for x in scores.values()), initial=0)))

    def tied(name: str, stop: jax.Array) -> jax.Array:
        return (keys[name] == threshold) & (_positions(keys[name].shape, first[name]) < stop)

    def break_ties() -> jax.Array:
        missing = count - total(lambda name: keys[name] > threshold)
        return _search(lambda stop: total(lambda name: tied(name, stop)), missing, 0, jnp.less_equal)[0]

    # Mostly the scores that reach the threshold are as many as asked for, and no tie has to be broken.
    stop = jax.lax.cond(reached == count, lambda: jnp.uint32(2**32 - 1), break_ties)
    return {name: (x > threshold) | tied(name, stop) for name, x in keys.items()}


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
    number: Callable[[jax.Array], jax.Array],
    wanted: jax.Array | int,
    start: int,
    fits: Callable[[jax.Array, jax.Array | int], jax.Array],
) -> tuple[jax.Array, jax.Array]:
    """Largest 32-bit `x` for which `fits(number(x), wanted)`, or any with `number(x) == wanted`, and its number.

    What fits at `x` fits below it; `start` is the number of 0.
    """

    def going(state: tuple[jax.Array, jax.Array, jax.Array]) -> jax.Array:
        bit, _, reached = state
        return (bit > 0) & (reached != wanted)

    def try_bit(state: tuple[jax.Array, jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array, jax.Array]:
        bit, found, reached = state
        here = number(found | bit)
        good = fits(here, wanted)
        return bit >> 1, jnp.where(good, found | bit, found), jnp.where(good, here, reached)

    begin = jnp.uint32(2**31), jnp.uint32(0), jnp.int32(start)
    return jax.lax.while_loop(going, try_bit, begin)[1:]
