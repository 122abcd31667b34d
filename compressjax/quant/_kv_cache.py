"""An int8 cache of keys and values for decoding, with integer products."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

LIMIT = 127
SMALLEST = 2.0**-100  # its reciprocal times 127 is still finite in float32
LONGEST = (2**31 - 1) // LIMIT**2  # sums of more products of int8 numbers may overflow int32


class KVCache(NamedTuple):
    """Keys and values as int8 codes, with a scale per token and head.

    Attributes:
        keys: `[batch, heads, capacity, dim]`, int8.
        key_scales: `[batch, heads, capacity]`, float32; zero where nothing was written.
        values: Like `keys`.
        value_scales: Like `key_scales`.
        length: Scalar, int32: tokens appended so far.
    """

    keys: jax.Array
    key_scales: jax.Array
    values: jax.Array
    value_scales: jax.Array
    length: jax.Array


def init_cache(batch: int, heads: int, capacity: int, dim: int) -> KVCache:
    r"""Returns an empty int8 cache of \(2 (d + 4)\) bytes per token and head, where float32 takes \(8 d\).

    Args:
        batch: Number of sequences.
        heads: Number of heads of keys and values.
        capacity: Most tokens per sequence, at most 133,152 so that integer sums are exact.
        dim: Length of a key and of a value.

    Returns:
        The cache, for `append` and `attend`.

    Raises:
        ValueError: If a size is not positive, or the capacity is too large.

    Example:
        >>> init_cache(1, 2, 8, 4).keys.shape
        (1, 2, 8, 4)

    Source: Jacob et al., arXiv:1712.05877.
    """
    sizes = {"batch": batch, "heads": heads, "capacity": capacity, "dim": dim}
    for name, size in sizes.items():
        if size < 1:
            raise ValueError(f"init_cache: {name}={size!r}; pass a positive number")
    if capacity > LONGEST:
        raise ValueError(f"init_cache: capacity={capacity} could overflow int32 sums; pass at most {LONGEST}")
    scales = jnp.zeros((batch, heads, capacity), jnp.float32)
    codes = jnp.zeros((*scales.shape, dim), jnp.int8)
    return KVCache(codes, scales, codes.copy(), scales.copy(), jnp.zeros((), jnp.int32))


def append(cache: KVCache, keys: jax.Array, values: jax.Array) -> KVCache:
    r"""Rounds new keys and values to int8 and writes them after those of the cache.

    .. math:: q = round(x / s), \quad s = \max_d |x_d| / 127

    Args:
        cache: From `init_cache` or `append`.
        keys: `[batch, new, heads, dim]`, float.
        values: Like `keys`.

    Returns:
        The cache, longer by `new`. Beyond its capacity, it cannot raise under `jit`: `attend` then gives NaN.

    Raises:
        ValueError: If the shapes do not fit the cache.

    Example:
        >>> cache = append(init_cache(1, 1, 4, 2), jnp.ones((1, 3, 1, 2)), jnp.ones((1, 3, 1, 2)))
        >>> int(cache.length), cache.keys[0, 0, :, 0].tolist()
        (3, [127, 127, 127, 0])

    Source: Jacob et al., arXiv:1712.05877.
    """
    batch, heads, capacity, dim = cache.keys.shape
    for name, x in (("keys", keys), ("values", values)):
        if x.ndim != 4 or (x.shape[0], *x.shape[2:]) != (batch, heads, dim) or x.shape[1] > capacity:
            raise ValueError(
                f"append: {name} of shape {x.shape} do not fit the cache; pass [{batch}, new, {heads}, {dim}] with at "
                f"most {capacity} new tokens"
            )
    new = [part for x in (keys, values) for part in _rounded(jnp.swapaxes(x, 1, 2))]
    start = cache.length
    put = [
        jax.lax.dynamic_update_slice(old, x, (0, 0, start, *(0,) * (old.ndim - 3)))
        for old, x in zip(cache[:4], new, strict=True)
    ]
    return KVCache(put[0], put[1], put[2], put[3], start + keys.shape[1])


def attend(queries: jax.Array, cache: KVCache, *, scale: float | None = None) -> jax.Array:
    r"""Causal attention of the newest tokens over the cache, with both products in integers.

    .. math:: O = softmax(c\, Q K^T) V

    Queries get a scale per row. The scales of the values are multiplied into the attention weights before these are
    rounded, so the second sum is one of integers as well. Heads of queries that share a head of keys are its rows. A
    single row is padded to two, because XLA's CPU backend runs one row on a slow path.

    Args:
        queries: `[batch, new, query heads, dim]`, those of the last `new` tokens appended.
        cache: From `append`; its number of heads divides that of the queries.
        scale: The factor `c`; `dim ** -0.5` if None.

    Returns:
        `[batch, new, query heads, dim]` in the dtype of the queries; NaN if more was appended than the cache holds.

    Raises:
        ValueError: If the queries do not fit the cache.

    Example:
        >>> cache = append(init_cache(1, 1, 4, 2), jnp.ones((1, 2, 1, 2)), jnp.full((1, 2, 1, 2), 3.0))
        >>> attend(jnp.ones((1, 1, 1, 2)), cache).round(4).tolist()
        [[[[3.0, 3.0]]]]

    Source: Jacob et al., arXiv:1712.05877.
    """
    batch, heads, capacity, dim = cache.keys.shape
    if queries.ndim != 4 or (queries.shape[0], queries.shape[3]) != (batch, dim) or queries.shape[2] % heads:
        raise ValueError(
            f"attend: queries of shape {queries.shape} do not fit the cache; pass [{batch}, new, heads, {dim}] with a "
            f"multiple of {heads} heads"
        )
    new, group = queries.shape[1], queries.shape[2] // heads
    rows = jnp.transpose(queries.reshape(batch, new, heads, group, dim), (0, 2, 3, 1, 4))
    codes, row_scales = _rounded(rows.reshape(batch, heads, group * new, dim))
    factor = dim**-0.5 if scale is None else scale
    scores = _sums(codes, cache.keys, 3) * (row_scales[..., None] * factor) * cache.key_scales[:, :, None]
    position = cache.length - new + jnp.tile(jnp.arange(new), group)
    visible = (jnp.arange(capacity)[None] <= position[:, None])[None, None]
    weights = jax.nn.softmax(jnp.where(visible, scores, -jnp.inf), axis=-1)
    codes, row_scales = _rounded(jnp.where(visible, weights * cache.value_scales[:, :, None], 0.0))
    out = _sums(codes, cache.values, 2) * row_scales[..., None]
    out = jnp.where(cache.length <= capacity, out, jnp.nan)
    out = jnp.transpose(out.reshape(batch, heads, group, new, dim), (0, 3, 1, 2, 4))
    return out.reshape(batch, new, heads * group, dim).astype(queries.dtype)


def _rounded(x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Codes of the last axis and their scale, NaN where an entry is not finite."""
    x = x.astype(jnp.float32)
    largest = jnp.maximum(jnp.max(jnp.abs(x), axis=-1), SMALLEST)
    return jnp.round(x * (LIMIT / largest[..., None])).astype(jnp.int8), largest / LIMIT


def _sums(rows: jax.Array, codes: jax.Array, axis: int) -> Any:
    """Integer products of rows with codes summed over one of their axes, in float32."""
    padded = jnp.pad(rows, ((0, 0), (0, 0), (0, 1), (0, 0))) if rows.shape[2] == 1 else rows
    numbers = (((3,), (axis,)), ((0, 1), (0, 1)))
    out = jax.lax.dot_general(padded, codes, numbers, preferred_element_type=jnp.int32)
    return out[:, :, : rows.shape[2]].astype(jnp.float32)
