"""Coordinate descent on many least-squares problems that share one matrix, from its products."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

_HIGH = jax.lax.Precision.HIGHEST
_TINY = 1e-30


def sweep(
    codes: jax.Array, gram: jax.Array, targets: jax.Array, shrink: Callable[[jax.Array, jax.Array], jax.Array]
) -> tuple[jax.Array, jax.Array]:
    """One sweep over the coordinates of `codes [k, n]`, and the sum of the moves times the curvatures.

    Minimizes `1/2 c^T G c - c^T t` plus a penalty that `shrink(value, curvature)` solves in one coordinate. Codes are
    stored by coordinate, so every move is one vector operation over all problems.
    """

    def move(j: jax.Array, state: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        found, moved = state
        curvature = gram[j, j]
        slope = targets[j] - jnp.matmul(gram[j], found, precision=_HIGH)
        new = shrink(found[j] + slope / jnp.maximum(curvature, _TINY), jnp.maximum(curvature, _TINY))
        new = jnp.where(curvature > 0, new, found[j])
        return found.at[j].set(new), moved + curvature * jnp.sum(jnp.abs(new - found[j]))

    return jax.lax.fori_loop(0, codes.shape[0], move, (codes, jnp.zeros((), codes.dtype)))


def settled(
    codes: jax.Array,
    gram: jax.Array,
    targets: jax.Array,
    shrink: Callable[[jax.Array, jax.Array], jax.Array],
    sweeps: int,
    tolerance: float,
) -> jax.Array:
    """Sweeps until moves are below a share of the first ones, or `sweeps` times."""

    def unfinished(state: Any) -> jax.Array:
        _, moved, first, done = state
        return (done < sweeps) & (moved > tolerance * first)

    def step(state: Any) -> Any:
        found, moved = sweep(state[0], gram, targets, shrink)
        return found, moved, jnp.maximum(state[2], moved), state[3] + 1

    start = (codes, jnp.full((), jnp.inf, codes.dtype), jnp.zeros((), codes.dtype), jnp.zeros((), jnp.int32))
    found: jax.Array = jax.lax.while_loop(unfinished, step, start)[0]
    return found


def positive(value: jax.Array, curvature: jax.Array) -> jax.Array:
    """The nearest number that is at least 0."""
    return jnp.maximum(value, 0)


def soft(penalty: jax.Array | float) -> Callable[[jax.Array, jax.Array], jax.Array]:
    """Soft thresholding, which solves `penalty |c|` in one coordinate."""

    def shrink(value: jax.Array, curvature: jax.Array) -> jax.Array:
        return jnp.sign(value) * jnp.maximum(jnp.abs(value) - penalty / curvature, 0)

    return shrink


def unit_ball(atoms: jax.Array, gram: jax.Array, targets: jax.Array) -> jax.Array:
    """One sweep over the rows of `atoms [k, d]`, each moved to its minimum and then into the unit ball (Mairal)."""

    def move(j: jax.Array, found: jax.Array) -> jax.Array:
        curvature = gram[j, j]
        slope = targets[j] - jnp.matmul(gram[j], found, precision=_HIGH)
        new = found[j] + slope / jnp.maximum(curvature, _TINY)
        new = new / jnp.maximum(jnp.linalg.norm(new), 1)
        return found.at[j].set(jnp.where(curvature > 0, new, found[j]))

    return jax.lax.fori_loop(0, len(atoms), move, atoms)
