"""Lasso and elastic net along a path, by coordinate descent and small solves on products, with screening."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

_HIGH = jax.lax.Precision.HIGHEST
_TINY = 1e-30
SCREENING = ("strong", "gap-safe", "none")
# Sweeps before a solve for the features in use.
_SWEEPS = 3
# Sizes of such solves; a set of features takes the next larger one.
_SIZES = (32, 128, 512)


class Problem(NamedTuple):
    """Products `G [d, d]`, `c [d]`, `v` of centered features and targets, over the number of rows."""

    gram: jax.Array
    cross: jax.Array
    square: jax.Array


class Solved(NamedTuple):
    """Weights `[m, d]`, duality gaps `[m]`, and how many features the sweeps went over `[m]`, for every penalty."""

    weights: jax.Array
    gaps: jax.Array
    kept: jax.Array


class _Penalty(NamedTuple):
    """Of absolute values, and of squares."""

    sharp: jax.Array
    ridge: jax.Array


class _At(NamedTuple):
    """Weights, slopes `c - G w`, the features in the sweeps, the gap, rounds, the most features so far."""

    weights: jax.Array
    slopes: jax.Array
    kept: jax.Array
    gap: jax.Array
    rounds: jax.Array
    most: jax.Array


@functools.partial(jax.jit, static_argnums=3)
def path(problem: Problem, penalties: jax.Array, share: Any, screening: str, tolerance: Any, rounds: Any) -> Solved:
    """Minimizes `(v - 2 c w + w G w) / 2 + a (s |w|_1 + (1 - s) |w|^2 / 2)` for falling penalties `a`, warm-started.

    `s` is the share of the absolute values. All tests of screening need the products alone.
    """
    limit = tolerance * problem.square

    def solve(carry: Any, penalty: jax.Array) -> Any:
        weights, slopes, last = carry
        p = _Penalty(penalty * share, penalty * (1 - share))
        slopes = slopes - (p.ridge - last * (1 - share)) * weights
        kept = jnp.ones(len(weights), bool)
        if screening == "strong":
            kept = (jnp.abs(slopes) >= 2 * p.sharp - last * share) | (weights != 0)
        none = jnp.zeros((), jnp.int32)
        start = _At(weights, slopes, kept, jnp.full((), jnp.inf), none, none)
        if screening == "gap-safe":
            start = _looked(problem, p, screening, start)
        found = jax.lax.while_loop(
            lambda at: (at.rounds < rounds) & (at.gap > limit),
            lambda at: _looked(problem, p, screening, _solved(problem, p, _swept(problem, p, at))),
            start,
        )
        return (found.weights, found.slopes, penalty), Solved(found.weights, found.gap, found.most)

    first = jnp.max(jnp.abs(problem.cross)) / share
    return jax.lax.scan(solve, (jnp.zeros_like(problem.cross), problem.cross, first), penalties)[1]


def _swept(problem: Problem, p: _Penalty, at: _At) -> _At:
    """One sweep over the kept features, then more over those in use; a move takes one feature to its minimum."""
    curvatures = jnp.diag(problem.gram) + p.ridge

    def sweep(times: int, wanted: jax.Array, state: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        places = jnp.nonzero(wanted, size=len(problem.cross), fill_value=0)[0]
        count = jnp.sum(wanted)

        def move(i: jax.Array, state: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
            weights, slopes = state
            j = places[i % count]
            old, curvature = weights[j], curvatures[j]
            value = slopes[j] + curvature * old
            new = jnp.sign(value) * jnp.maximum(jnp.abs(value) - p.sharp, 0) / jnp.maximum(curvature, _TINY)
            delta = jnp.where(curvature > 0, new - old, 0)
            slopes = (slopes - delta * problem.gram[j]).at[j].add(-p.ridge * delta)
            return weights.at[j].add(delta), slopes

        return jax.lax.fori_loop(0, times * count, move, state)

    first = sweep(1, at.kept, (at.weights, at.slopes))
    weights, slopes = sweep(_SWEEPS - 1, first[0] != 0, first)
    return at._replace(weights=weights, slopes=slopes, most=jnp.maximum(at.most, jnp.sum(at.kept)))


def _solved(problem: Problem, p: _Penalty, at: _At) -> _At:
    """Moves to the minimum for the signs that there are, or to where the first of them changes."""
    gram, cross = problem.gram, problem.cross
    used = at.weights != 0
    count = jnp.sum(used)

    def of(size: int, weights: jax.Array) -> jax.Array:
        places = jnp.nonzero(used, size=size, fill_value=len(cross))[0]
        inside = jnp.arange(size) < count
        block = gram.at[places[:, None], places[None]].get(mode="fill", fill_value=0)
        system = block + jnp.diag(jnp.where(inside, p.ridge, 1.0))
        old = weights.at[places].get(mode="fill", fill_value=0)
        signs = jnp.sign(old)
        wanted = cross.at[places].get(mode="fill", fill_value=0) - p.sharp * signs
        new = jax.scipy.linalg.cho_solve((jnp.linalg.cholesky(system), True), wanted)
        until = jnp.where(new * signs < 0, old / jnp.where(old == new, 1, old - new), 1.0)
        step = jnp.min(until)
        moved = jnp.where((until <= step) & (step < 1), 0, old + step * (new - old))
        # Features that are copies of one another have no such minimum.
        return weights.at[places].set(jnp.where(jnp.isfinite(moved).all(), moved, old), mode="drop")

    sizes = [size for size in _SIZES if size < len(cross)] + [len(cross)]
    branches = [functools.partial(of, size) for size in sizes]
    weights = jax.lax.switch(jnp.searchsorted(jnp.asarray(sizes), count), branches, at.weights)
    # Sums of many moves round; the slopes are made anew.
    slopes = cross - jnp.matmul(gram, weights, precision=_HIGH) - p.ridge * weights
    return at._replace(weights=weights, slopes=slopes)


def _looked(problem: Problem, p: _Penalty, screening: str, at: _At) -> _At:
    """The duality gap, and what it says about the features.

    The elastic net is a lasso with `ridge` added to the curvatures.
    """
    residual = jnp.maximum(problem.square - jnp.sum(at.weights * (problem.cross + at.slopes)), 0)
    along = problem.square - jnp.sum(at.weights * problem.cross)
    limit = p.sharp / jnp.maximum(jnp.max(jnp.abs(at.slopes)), _TINY)
    scale = jnp.clip(along / jnp.maximum(residual, _TINY), -limit, limit)
    primal = residual / 2 + p.sharp * jnp.sum(jnp.abs(at.weights))
    gap = jnp.maximum(primal - (scale * along - scale**2 * residual / 2), 0)
    kept = at.kept
    if screening == "strong":
        kept = kept | (jnp.abs(at.slopes) > p.sharp)
    if screening == "gap-safe":
        radius = jnp.sqrt(2 * gap * (jnp.diag(problem.gram) + p.ridge))
        kept = (jnp.abs(scale * at.slopes) + radius >= p.sharp * (1 - 1e-5)) | (at.weights != 0)
    return at._replace(kept=kept, gap=gap, rounds=at.rounds + 1)
