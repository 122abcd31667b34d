"""Reducers that learn rows `[k, d]` whose combinations are the data: in passes, or online."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from compressjax.data._reducer import Reads, Reducer

_HIGH = jax.lax.Precision.HIGHEST


class Alternation(NamedTuple):
    """What an alternating method does.

    Attributes:
        draw: `(key, shape) -> atoms`, the start.
        gather: `(x, atoms) -> statistics`, a pair of arrays that add up over batches.
        improve: `(atoms, *statistics) -> atoms`.
        fitted: `atoms -> what is learned`.
        empty: `(k, d) -> statistics` of no rows.
    """

    draw: Callable[[jax.Array, tuple[int, int]], jax.Array]
    gather: Callable[[jax.Array, jax.Array], Any]
    improve: Callable[..., jax.Array]
    fitted: Callable[[jax.Array], Any]
    empty: Callable[[int, int], Any]


class Learning(NamedTuple):
    """State of a pass: atoms, statistics of the codes, passes before this one."""

    atoms: jax.Array
    statistics: Any
    done: jax.Array


def quadratic(k: int, d: int) -> tuple[jax.Array, jax.Array]:
    """Statistics of no rows for squared errors: products of codes with codes `[k, k]`, and with rows `[k, d]`."""
    return jnp.zeros((k, k)), jnp.zeros((k, d))


def products(codes: jax.Array, x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The same of rows `[n, d]` with codes `[k, n]`."""
    return jnp.matmul(codes, codes.T, precision=_HIGH), jnp.matmul(codes, x, precision=_HIGH)


def _start(way: Alternation, k: int, key: jax.Array, features: int) -> Learning:
    return Learning(way.draw(key, (k, features)), way.empty(k, features), jnp.zeros((), jnp.int32))


def _floats(x: jax.Array) -> jax.Array:
    return x.astype(jnp.float32)


def in_passes(way: Alternation, k: int, key: jax.Array, passes: int, name: str, reads: Reads) -> Reducer:
    """Codes of all rows, then better atoms, and again; batches matter by rounding only."""

    def update(state: Learning, x: jax.Array) -> Learning:
        found = way.gather(_floats(x), state.atoms)
        return state._replace(statistics=jax.tree.map(jnp.add, state.statistics, found))

    def merge(a: Learning, b: Learning) -> Learning:
        return a._replace(statistics=jax.tree.map(jnp.add, a.statistics, b.statistics))

    def again(state: Learning) -> tuple[Learning, jax.Array]:
        atoms = way.improve(state.atoms, *state.statistics)
        nothing = jax.tree.map(jnp.zeros_like, state.statistics)
        return Learning(atoms, nothing, state.done + 1), state.done + 1 < passes

    start = functools.partial(_start, way, k, key)
    return Reducer(start, update, merge, lambda s: way.fitted(s.atoms), name, reads, again)


def online(
    way: Alternation, k: int, key: jax.Array, passes: int, size: int, memory: float, name: str, reads: Reads
) -> Reducer:
    """Better atoms after every `size` rows; older statistics count `memory` times as much after each of these steps.

    Parts of several hosts are merged by their statistics, which then give the atoms.
    """

    def step(state: Learning, x: jax.Array) -> Learning:
        found = way.gather(x, state.atoms)
        kept = jax.tree.map(lambda old, new: memory * old + new, state.statistics, found)
        return Learning(way.improve(state.atoms, *kept), kept, state.done)

    def update(state: Learning, x: jax.Array) -> Learning:
        x, whole = _floats(x), len(x) // size * size
        if whole:
            parts = x[:whole].reshape(-1, size, x.shape[1])
            state = jax.lax.scan(lambda s, part: (step(s, part), None), state, parts)[0]
        return step(state, x[whole:]) if whole < len(x) else state

    def merge(a: Learning, b: Learning) -> Learning:
        kept = jax.tree.map(jnp.add, a.statistics, b.statistics)
        weight = jnp.trace(a.statistics[0]) / jnp.maximum(jnp.trace(kept[0]), 1e-30)
        return Learning(way.improve(weight * a.atoms + (1 - weight) * b.atoms, *kept), kept, a.done)

    def again(state: Learning) -> tuple[Learning, jax.Array]:
        return state._replace(done=state.done + 1), state.done + 1 < passes

    start = functools.partial(_start, way, k, key)
    return Reducer(start, update, merge, lambda s: way.fitted(s.atoms), name, reads, again if passes > 1 else None)
