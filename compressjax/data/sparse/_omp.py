"""Orthogonal matching pursuit, for many rows at once."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from compressjax.core._settings import as_int, as_number
from compressjax.data.sources._batches import rows_of

_HIGH = jax.lax.Precision.HIGHEST


def omp(atoms: Any, x: Any, nonzeros: int, *, tolerance: float = 0.0) -> jax.Array:
    """Codes rows by at most `nonzeros` atoms each, chosen greedily, with the best weights.

    .. math:: j_t = \\arg\\max_j \\frac{|\\langle r_{t-1}, d_j \\rangle|}{\\|d_j\\|}, \\quad
        c_t = \\arg\\min_c \\|x - \\sum_{s \\le t} c_s d_{j_s}\\|^2

    All rows go step by step together. The inverse of the products of the chosen atoms grows by one row a step, so a
    step is a few products and no solve.

    Args:
        atoms: `[k, features]`; need not have length 1.
        x: `[n, features]`.
        nonzeros: At most, at least 1 and at most `k`.
        tolerance: A row is done when its squared error is at most this.

    Returns:
        Codes `[n, k]`.

    Raises:
        ValueError: If shapes or numbers do not fit, or a value is not finite: its row and column are named.

    Example:
        >>> omp(jnp.eye(3), jnp.array([[1.0, -5.0, 2.0]]), 2).tolist()
        [[0.0, -5.0, 2.0]]

    Source: Pati et al., 1993; batches, Rubinstein et al., Technion CS-2008-08.
    """
    count = as_int("omp", "nonzeros", nonzeros)
    base, rows = check_atoms("omp", atoms, x)
    if not 1 <= count <= len(base) or as_number("omp", "tolerance", tolerance) < 0:
        raise ValueError(f"omp: nonzeros={count} must be at least 1 and at most the {len(base)} atoms, "
                         f"tolerance={tolerance} at least 0")  # fmt: skip
    return pursued(base, rows, count, float(tolerance))


def check_atoms(who: str, atoms: Any, x: Any) -> tuple[jax.Array, jax.Array]:
    """Atoms and rows as float32, of one number of features."""
    base = rows_of(f"{who}: atoms", atoms, 0).astype(jnp.float32)
    rows = rows_of(who, x, 0).astype(jnp.float32)
    if base.shape[1] != rows.shape[1]:
        raise ValueError(f"{who}: atoms have {base.shape[1]} features, rows {rows.shape[1]}")
    return base, rows


class _Chosen(NamedTuple):
    """Places of the atoms `[n, m]`, weights `[n, m]`, the inverse of their products `[n, m, m]`, who is done `[n]`."""

    places: jax.Array
    weights: jax.Array
    inverse: jax.Array
    done: jax.Array


@functools.partial(jax.jit, static_argnums=2)
def pursued(atoms: jax.Array, x: jax.Array, count: int, tolerance: Any) -> jax.Array:
    """The codes of `omp`."""
    gram = jnp.matmul(atoms, atoms.T, precision=_HIGH)
    targets = jnp.matmul(x, atoms.T, precision=_HIGH)
    lengths = jnp.diag(gram)
    squares, n = jnp.sum(x**2, axis=1), len(x)
    row = jnp.arange(n)

    def codes_of(state: _Chosen) -> jax.Array:
        return jnp.zeros_like(targets).at[row[:, None], state.places].add(state.weights)

    def step(t: jax.Array, state: _Chosen) -> _Chosen:
        codes = codes_of(state)
        slopes = targets - jnp.matmul(codes, gram, precision=_HIGH)
        error = squares - jnp.sum(codes * (targets + slopes), axis=1)
        used = jnp.arange(count)[None] < t
        taken = jnp.zeros(targets.shape, bool).at[row[:, None], state.places].max(used)
        scores = jnp.where(taken | (lengths <= 0)[None], -1.0, slopes**2 / jnp.maximum(lengths, 1e-30)[None])
        new = jnp.argmax(scores, axis=1)
        across = jnp.where(used, gram[state.places, new[:, None]], 0)
        pulled = jnp.einsum("nij,nj->ni", state.inverse, across, precision=_HIGH)
        rest = lengths[new] - jnp.sum(across * pulled, axis=1)
        # An atom inside the span of the others adds nothing, and rounding must not be inverted.
        done = state.done | (rest <= 1e-6 * lengths[new]) | (jnp.max(scores, axis=1) <= 0) | (error <= tolerance)
        column = pulled.at[:, t].set(-1.0)
        grown = state.inverse + column[:, :, None] * column[:, None, :] / jnp.where(done, 1, rest)[:, None, None]
        places = state.places.at[:, t].set(new)
        given = jnp.where(jnp.arange(count)[None] <= t, jnp.take_along_axis(targets, places, axis=1), 0)
        weights = jnp.einsum("nij,nj->ni", grown, given, precision=_HIGH)
        found = _Chosen(places, weights, grown, done)
        return jax.tree.map(lambda a, b: jnp.where(jnp.expand_dims(done, tuple(range(1, a.ndim))), a, b), state, found)

    start = _Chosen(
        jnp.zeros((n, count), jnp.int32), jnp.zeros((n, count)), jnp.zeros((n, count, count)), jnp.zeros(n, bool)
    )
    return codes_of(jax.lax.fori_loop(0, count, step, start))
