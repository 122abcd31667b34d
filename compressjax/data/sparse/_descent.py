"""Lasso and elastic net along a path, by coordinate descent on products, with screening."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

_HIGH = jax.lax.Precision.HIGHEST
_TINY = 1e-30
SCREENING = ("strong", "gap-safe", "none")
# Sweeps between two looks at all features.
_SWEEPS = 10


class Solved(NamedTuple):
    """Weights `[m, d]`, duality gaps `[m]`, and how many features the sweeps went over `[m]`, for every penalty."""

    weights: jax.Array
    gaps: jax.Array
    kept: jax.Array


class _At(NamedTuple):
    """Weights, slopes `c - G w`, the features in the sweeps, the gap, rounds, the most features so far."""

    weights: jax.Array
    slopes: jax.Array
    kept: jax.Array
    gap: jax.Array
    rounds: jax.Array
    most: jax.Array


@functools.partial(jax.jit, static_argnums=(4, 5, 6, 7))
def path(
    gram: jax.Array, cross: jax.Array, square: jax.Array, penalties: jax.Array, share: float, screening: str,
    tolerance: float, rounds: int,
) -> Solved:  # fmt: skip
    """Minimizes `(v - 2 c w + w G w) / 2 + a (s |w|_1 + (1 - s) |w|^2 / 2)` for falling penalties `a`, warm-started.

    `G`, `c`, `v` are products of centered features and targets over the number of rows; `s` is the share of the
    absolute values. All tests of screening need these products alone.
    """
    curvatures = jnp.diag(gram)

    def gap_of(at: _At, sharp: jax.Array, ridge: jax.Array) -> tuple[jax.Array, jax.Array]:
        # The elastic net is a lasso with `ridge` added to the curvatures.
        residual = jnp.maximum(square - jnp.sum(at.weights * (cross + at.slopes)), 0)
        along = square - jnp.sum(at.weights * cross)
        limit = sharp / jnp.maximum(jnp.max(jnp.abs(at.slopes)), _TINY)
        scale = jnp.clip(along / jnp.maximum(residual, _TINY), -limit, limit)
        primal = residual / 2 + sharp * jnp.sum(jnp.abs(at.weights))
        return jnp.maximum(primal - (scale * along - scale**2 * residual / 2), 0), scale

    def swept(at: _At, sharp: jax.Array, ridge: jax.Array) -> _At:
        places = jnp.nonzero(at.kept, size=len(cross), fill_value=0)[0]
        count = jnp.sum(at.kept)

        def move(i: jax.Array, state: tuple[jax.Array, jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array, jax.Array]:
            weights, slopes, moved = state
            j = places[i]
            old, curvature = weights[j], curvatures[j] + ridge
            value = slopes[j] + curvature * old
            new = jnp.sign(value) * jnp.maximum(jnp.abs(value) - sharp, 0) / jnp.maximum(curvature, _TINY)
            delta = jnp.where(curvature > 0, new - old, 0)
            slopes = (slopes - delta * gram[j]).at[j].add(-ridge * delta)
            return weights.at[j].add(delta), slopes, jnp.maximum(moved, curvature * delta**2)

        def once(state: Any) -> Any:
            weights, slopes, _, done = state
            return *jax.lax.fori_loop(0, count, move, (weights, slopes, jnp.zeros(()))), done + 1

        def unfinished(state: Any) -> jax.Array:
            return (state[3] < _SWEEPS) & (state[2] > 1e-12 * square)

        start = (at.weights, at.slopes, jnp.full((), jnp.inf), jnp.zeros((), jnp.int32))
        weights, slopes, _, _ = jax.lax.while_loop(unfinished, once, start)
        return at._replace(weights=weights, slopes=slopes, most=jnp.maximum(at.most, count))

    def looked(at: _At, sharp: jax.Array, ridge: jax.Array) -> _At:
        # Sums of many moves round; the slopes are made anew.
        fresh = cross - jnp.matmul(gram, at.weights, precision=_HIGH) - ridge * at.weights
        at = at._replace(slopes=fresh)
        gap, scale = gap_of(at, sharp, ridge)
        kept = at.kept
        if screening == "strong":
            kept = kept | (jnp.abs(fresh) > sharp)
        if screening == "gap-safe":
            radius = jnp.sqrt(2 * gap * (curvatures + ridge))
            kept = (jnp.abs(scale * fresh) + radius >= sharp * (1 - 1e-5)) | (at.weights != 0)
        return at._replace(kept=kept, gap=gap, rounds=at.rounds + 1)

    def solve(carry: Any, penalty: jax.Array) -> Any:
        weights, slopes, last = carry
        sharp, ridge = penalty * share, penalty * (1 - share)
        slopes = slopes - (ridge - last * (1 - share)) * weights
        kept = jnp.ones(len(cross), bool)
        if screening == "strong":
            kept = (jnp.abs(slopes) >= 2 * sharp - last * share) | (weights != 0)
        start = _At(weights, slopes, kept, jnp.full((), jnp.inf), jnp.zeros((), jnp.int32), jnp.zeros((), jnp.int32))
        if screening == "gap-safe":
            start = looked(start, sharp, ridge)
        found = jax.lax.while_loop(
            lambda at: (at.rounds < rounds) & (at.gap > tolerance * square),
            lambda at: looked(swept(at, sharp, ridge), sharp, ridge),
            start,
        )
        return (found.weights, found.slopes, penalty), Solved(found.weights, found.gap, found.most)

    first = jnp.max(jnp.abs(cross)) / share
    return jax.lax.scan(solve, (jnp.zeros_like(cross), cross, first), penalties)[1]
