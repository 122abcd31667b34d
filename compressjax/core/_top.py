"""The largest entries without sorting."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np


def top_mask(scores: jax.Array, count: jax.Array | int) -> jax.Array:
    """Mask of exactly the `count` largest scores, ties to the smaller index.

    The order of floats is the order of their bits, so 32 counts find the threshold bit by bit, and 32 more the index
    up to which ties at the threshold are kept. On CPUs this is about twenty times faster than sorting, and on sharded
    arrays every count is one small sum.

    Args:
        scores: Any shape, floating; compared in float32, where numbers below 1.2e-38 may count as zero. NaN comes
            after minus infinity.
        count: How many to keep, 0 to `scores.size`; may be traced.

    Returns:
        Bool array of the scores' shape with exactly `count` True entries.

    Example:
        >>> top_mask(jnp.array([1.0, 3.0, 3.0]), 1).tolist()
        [False, True, False]
    """
    # Adding zero turns -0 into 0, which have different bits but are the same score.
    bits = jax.lax.bitcast_convert_type(scores.astype(jnp.float32).ravel() + 0.0, jnp.int32)
    flipped = jnp.where(bits < 0, ~bits, bits ^ np.int32(-(2**31)))
    keys = jnp.where(jnp.isnan(scores.ravel()), 0, jax.lax.bitcast_convert_type(flipped, jnp.uint32))
    threshold = _largest(lambda key: jnp.sum(keys >= key) >= count)
    above, ties = keys > threshold, keys == threshold
    index = jnp.arange(keys.size, dtype=jnp.uint32)
    missing = count - jnp.sum(above)
    end = _largest(lambda stop: jnp.sum(ties & (index < stop)) <= missing)
    # With nothing to keep the threshold is the largest key of all, which some entry might have.
    return ((above | (ties & (index < end))) & (jnp.asarray(count) > 0)).reshape(scores.shape)


def _largest(holds: Callable[[jax.Array], jax.Array]) -> jax.Array:
    """Largest 32-bit number for which a condition holds that holds for all smaller numbers."""

    def try_bit(i: jax.Array, found: jax.Array) -> jax.Array:
        candidate = found | (jnp.uint32(2**31) >> i.astype(jnp.uint32))
        return jnp.where(holds(candidate), candidate, found)

    return jax.lax.fori_loop(0, 32, try_bit, jnp.zeros((), jnp.uint32))
