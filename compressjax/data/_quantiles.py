"""Quantiles of every feature from a sketch that merges, with an error that is stated."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.numerics._counts import Count, exact, known, plus

LEVELS = 20


class Sketch(NamedTuple):
    """Sorted runs of `size` values; a run of level `h` stands for `2^h` times as many.

    The rank of a quantile among `n` rows is wrong by at most `log2(n / size) / (2 size)` of `n`, and exact up to
    `size` rows: two runs make one of the next level from every second value, as in binary counting (Manku, Rajagopalan
    and Lindsay, SIGMOD 1998).

    Attributes:
        rows: Number of rows.
        missing: `[features]`, how many were NaN.
        filled: How many places of `buffer` hold a row.
        buffer: `[features, size]`, the rows that make no run yet.
        runs: `[levels, features, size]`.
        used: `[levels]`, which runs there are.
        second: `[levels]`, whether the next run starts with the second value.
    """

    rows: Count
    missing: Count
    filled: jax.Array
    buffer: jax.Array
    runs: jax.Array
    used: jax.Array
    second: jax.Array


def no_sketch(features: int, size: int) -> Sketch:
    """The sketch of no rows."""
    return Sketch(exact(0), exact(jnp.zeros(features, jnp.int32)), jnp.zeros((), jnp.int32),
                  jnp.full((features, size), jnp.inf), jnp.full((LEVELS, features, size), jnp.inf),
                  jnp.zeros(LEVELS, bool), jnp.zeros(LEVELS, bool))  # fmt: skip


def sketched(state: Sketch, x: jax.Array) -> Sketch:
    """The sketch after some more rows `[n, features]`; NaN counts as missing."""
    columns = x.astype(jnp.float32).T
    absent = jnp.isnan(columns)
    counts = exact(jnp.sum(absent, axis=1, dtype=jnp.int32))
    state = state._replace(rows=plus(state.rows, exact(len(x))), missing=plus(state.missing, counts))
    return _with_rows(state, jnp.where(absent, jnp.inf, columns), jnp.int32(len(x)))


def merged_sketches(a: Sketch, b: Sketch) -> Sketch:
    """The sketch of the rows of both."""
    state = a._replace(rows=plus(a.rows, b.rows), missing=plus(a.missing, b.missing))
    state = _with_rows(state, b.buffer, b.filled)

    def add(level: Any, state: Sketch) -> Sketch:
        return jax.lax.cond(b.used[level], lambda s: _with_run(s, b.runs[level], level), lambda s: s, state)

    merged: Sketch = jax.lax.fori_loop(0, LEVELS, add, state)
    return merged


def quantiles(state: Sketch, shares: np.ndarray, who: str) -> np.ndarray:
    """Values `[shares, features]` with these shares of the present rows below, interpolated as in `numpy.quantile`."""
    values, weights = items(state, who)
    return weighted_quantiles(values, weights, shares)


def items(state: Sketch, who: str) -> tuple[np.ndarray, np.ndarray]:
    """Values `[features, m]` in order, and the rows that each stands for, in float64; 0 where missing."""
    rows = known(state.rows) or 0
    size = state.buffer.shape[1]
    if rows >= size * 2**LEVELS:
        raise ValueError(f"{who}: {rows} rows are more than a sketch of {size} values holds; take a larger size")
    filled, used = int(state.filled), np.flatnonzero(np.asarray(state.used))
    parts = [np.asarray(state.buffer)[:, :filled], *(np.asarray(state.runs[level]) for level in used)]
    values = np.concatenate(parts, axis=1).astype(np.float64)
    weights = np.concatenate([np.ones(filled), *(np.full(size, 2.0**level) for level in used)])
    order = np.argsort(values, axis=1, kind="stable")
    values = np.take_along_axis(values, order, axis=1)
    return values, np.where(np.isinf(values), 0.0, weights[order])


def weighted_quantiles(values: np.ndarray, weights: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Quantiles `[shares, features]` of sorted values `[features, m]` that stand for so many rows; NaN for no rows."""
    ends = np.cumsum(weights, axis=1)
    found = np.full((len(shares), len(values)), np.nan)
    for j, (own, end) in enumerate(zip(values, ends)):
        if len(end) and end[-1] > 0:
            position = np.asarray(shares) * (end[-1] - 1)
            below = np.floor(position)
            low, high = (own[np.minimum(np.searchsorted(end, rank, side="right"), len(own) - 1)]
                         for rank in (below, np.minimum(below + 1, end[-1] - 1)))  # fmt: skip
            found[:, j] = low + (high - low) * (position - below)
    return found


def _with_rows(state: Sketch, columns: jax.Array, count: jax.Array) -> Sketch:
    """Appends the first `count` of some columns `[features, n]`; what fills the buffer becomes runs."""
    size = state.buffer.shape[1]
    runs = (size - 1 + columns.shape[1]) // size
    wide = jnp.full((len(columns), (runs + 1) * size), jnp.inf).at[:, :size].set(state.buffer)
    wide = jax.lax.dynamic_update_slice(wide, columns, (jnp.int32(0), state.filled))
    filled = state.filled + count
    full = filled // size

    def add(i: Any, state: Sketch) -> Sketch:
        run = jnp.sort(jax.lax.dynamic_slice_in_dim(wide, i * size, size, axis=1), axis=1)
        return _with_run(state, run, 0)

    state = jax.lax.fori_loop(0, full, add, state)
    buffer = jax.lax.dynamic_slice_in_dim(wide, full * size, size, axis=1)
    return state._replace(buffer=buffer, filled=filled - full * size)


def _with_run(state: Sketch, run: jax.Array, level: Any) -> Sketch:
    """Adds a sorted run; while its level is taken, both make one of the next level."""

    def taken(carry: tuple[Any, ...]) -> jax.Array:
        level, _, used, _ = carry
        return (level < LEVELS - 1) & used[level]

    def join(carry: tuple[Any, ...]) -> tuple[Any, ...]:
        level, run, used, second = carry
        both = jnp.sort(jnp.concatenate([state.runs[level], run], axis=1), axis=1)
        half = jnp.where(second[level], both[:, 1::2], both[:, ::2])
        return level + 1, half, used.at[level].set(False), second.at[level].set(~second[level])

    start = (jnp.asarray(level, jnp.int32), run, state.used, state.second)
    level, run, used, second = jax.lax.while_loop(taken, join, start)
    return state._replace(runs=state.runs.at[level].set(run), used=used.at[level].set(True), second=second)
