"""Short signatures of sets: the share of entries that agree is how much two sets have in common."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.data._sample import _mixed as mixed

_NONE = np.uint32(2**32 - 1)


def signatures(levels: np.ndarray, size: int, seed: int, batch: int = 4096) -> np.ndarray:
    """Signatures `[n, size]` of the sets `{(j, levels[i, j]) : levels[i, j] > 0}`, by one permutation.

    A token falls into one of `size` places and the least number there stays; an empty place borrows from another,
    the same for all rows (Li et al., arXiv:1208.1259; Shrivastava, arXiv:1703.04664).
    """
    parts = []
    for start in range(0, len(levels), batch):
        part = levels[start : start + batch]
        wide = np.zeros((batch if len(levels) > batch else len(levels), levels.shape[1]), levels.dtype)
        wide[: len(part)] = part
        parts.append(np.asarray(_least(wide, size, seed))[: len(part)])
    return _filled(np.concatenate(parts), seed)


@functools.partial(jax.jit, static_argnums=1)
def _least(levels: jax.Array, size: int, seed: int) -> jax.Array:
    """The least number of every place."""
    tokens = jnp.arange(levels.shape[1], dtype=jnp.uint32)[None] * np.uint32(256) + levels.astype(jnp.uint32)
    number = mixed(mixed(tokens) ^ jnp.asarray(seed, jnp.uint32))
    place = (mixed(number ^ np.uint32(0x9E3779B9)) % np.uint32(size)).astype(jnp.int32)
    number = jnp.where(levels > 0, jnp.minimum(number, _NONE - 1), _NONE)
    flat = jnp.arange(len(levels), dtype=jnp.int32)[:, None] * size + place
    return jnp.full(len(levels) * size, _NONE).at[flat].min(number).reshape(len(levels), size)


def _filled(found: np.ndarray, seed: int) -> np.ndarray:
    """Empty places with the numbers of other ones; rows without tokens stay empty."""
    found = found.copy()
    size, original = found.shape[1], found != _NONE
    values = found.copy()
    for turn in range(1, 8 * size):
        empty = (found == _NONE) & original.any(1, keepdims=True)
        if not empty.any():
            break
        draw = np.random.default_rng([seed, turn]).integers(0, size, size)
        usable = empty & original[:, draw]
        found = np.where(usable, values[:, draw], found)
    return found


def candidates(signs: np.ndarray, bands: int, most: int = 32) -> np.ndarray:
    """Pairs `[m, 2]`, earlier row first, that agree on all entries of a band; each row meets at most `most` others."""
    per_band, count = signs.shape[1] // bands, len(signs)
    found = np.zeros(0, np.int64)
    for band in range(bands):
        part = signs[:, band * per_band : (band + 1) * per_band]
        rows = np.flatnonzero((part != _NONE).all(1))
        key = np.zeros(len(rows), np.uint64)
        for column in part[rows].T:
            key = (key ^ column) * np.uint64(0x9E3779B97F4A7C15)
            key ^= key >> np.uint64(29)
        order = np.argsort(key, kind="stable")
        rows, key = rows[order], key[order]
        pairs = [found]
        for step in range(1, most + 1):
            same = key[step:] == key[:-step]
            if not same.any():
                break
            pairs.append(rows[:-step][same] * count + rows[step:][same])  # the order is stable, so earlier ones first
        found = np.unique(np.concatenate(pairs))
    return np.stack([found // count, found % count], axis=1) if count else np.zeros((0, 2), np.int64)
