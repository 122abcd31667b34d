"""Principal components from triangular factors, without squares of the data."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from compressjax.core._settings import as_int
from compressjax.data._moments import no_moments
from compressjax.data._reducer import Reducer
from compressjax.data.decomposition._components import Components, check_size, components_of
from compressjax.data.decomposition._eigen import leading, signed
from compressjax.data.decomposition._pca import check_components, number
from compressjax.numerics._counts import Count, as_float, exact, known, plus


class Factor(NamedTuple):
    """Statistics of rows; `factor.T @ factor` is the scatter, or its leading part.

    Attributes:
        rows: Their number.
        mean: `[d]`.
        factor: `[k, d]`.
        squares: The trace of the scatter.
    """

    rows: Count
    mean: jax.Array
    factor: jax.Array
    squares: jax.Array


def _start(size: int | None, features: int) -> Factor:
    empty = no_moments(features, whole=False)
    return Factor(empty.rows, empty.mean, jnp.zeros((size or features, features)), jnp.zeros(()))


def _joined(a: Factor, rows: Count, mean: jax.Array, factor: jax.Array, squares: jax.Array) -> tuple[Factor, jax.Array]:
    """Both means and traces, and the stack of both factors with the row that corrects for the means (Ross et al.)."""
    total = plus(a.rows, rows)
    n_a, n_b, n = as_float(a.rows), as_float(rows), jnp.maximum(as_float(total), 1)
    delta, weight = mean - a.mean, n_a * (n_b / n)
    stack = jnp.concatenate([a.factor, factor, jnp.sqrt(weight) * delta[None]])
    return Factor(total, a.mean + delta * (n_b / n), a.factor, a.squares + squares + weight * jnp.sum(delta**2)), stack


def _with_batch(shrink: Callable[[jax.Array], jax.Array], state: Factor, x: jax.Array) -> Factor:
    x = x.astype(jnp.float32)
    mean = jnp.mean(x, axis=0) if len(x) else jnp.zeros(x.shape[1])
    centered = x - mean[None]
    joined, stack = _joined(state, exact(len(x)), mean, centered, jnp.sum(centered**2))
    return joined._replace(factor=shrink(stack))


def _merged(shrink: Callable[[jax.Array], jax.Array], a: Factor, b: Factor) -> Factor:
    joined, stack = _joined(a, *b)
    return joined._replace(factor=shrink(stack))


def _triangle(stack: jax.Array) -> jax.Array:
    return jnp.linalg.qr(stack, mode="r")


def _leading_rows(k: int, stack: jax.Array) -> jax.Array:
    values, rows = leading(stack, k)
    return jnp.sqrt(values)[:, None] * rows


def svd_pca(components: int | float | str = 0.9, *, whiten: bool = False, key: jax.Array | None = None) -> Reducer:
    """Returns a reducer as `pca`, by singular values instead of the covariance.

    .. math:: R = qr\\begin{pmatrix} R_a \\\\ R_b \\\\ \\sqrt{\\tfrac{n_a n_b}{n_a + n_b}} (\\mu_b - \\mu_a)
        \\end{pmatrix}, \\quad R = U \\Sigma V^\\top, \\quad z = (x - \\mu) V_k

    Small directions keep the digits that squares of the data lose: those with a deviation below 3e-4 of the largest.
    One pass, memory `features^2`, about four times the operations of `pca`.

    Args:
        components: As for `pca`.
        whiten: As for `pca`.
        key: As for `pca`.

    Returns:
        Reducer whose result is `Components`.

    Raises:
        ValueError: As `pca`.

    Example:
        >>> from compressjax.data import fit
        >>> rows = jnp.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]])
        >>> print(fit(svd_pca(1), rows).singular_values.round(4))
        [7.3485]

    Source: mean correction, Ross et al., International Journal of Computer Vision, 2008.
    """
    wanted = check_components("svd_pca", components, key)

    def finalize(state: Factor) -> Components:
        features = len(state.mean)
        check_size("svd_pca", 1 if isinstance(wanted, str) else wanted, state.rows, features)
        _, values, rows = jnp.linalg.svd(state.factor, full_matrices=False)
        squares = values**2
        k = number(wanted, squares, jnp.sum(state.factor**2, axis=0), known(state.rows) or 0, key)
        divisor = jnp.maximum(as_float(state.rows) - 1, 1)
        return components_of(state.mean, squares[:k], signed(rows[:k]), divisor, state.squares, whiten)

    parts = functools.partial(_with_batch, _triangle), functools.partial(_merged, _triangle)
    return Reducer(functools.partial(_start, None), *parts, finalize, f"svd_pca({components})")


def incremental_pca(components: int, *, extra: int = 0, whiten: bool = False) -> Reducer:
    """Returns a reducer to the leading directions, in memory `(components + extra) features`.

    .. math:: \\Sigma V^\\top = svd_k\\begin{pmatrix} \\Sigma_a V_a^\\top \\\\ X_b - \\mu_b \\\\
        \\sqrt{\\tfrac{n_a n_b}{n_a + n_b}} (\\mu_b - \\mu_a) \\end{pmatrix}

    What every batch leaves out is lost, so results depend on batches a little: less with larger ones, or with `extra`
    directions that are dropped at the end.

    Args:
        components: Number of directions, at least 1.
        extra: Directions that are carried from batch to batch beside them, at least 0.
        whiten: As for `pca`.

    Returns:
        Reducer whose result is `Components`.

    Raises:
        ValueError: If a number is out of range; from `finalize`, if there are fewer rows or features.

    Example:
        >>> from compressjax.data import fit
        >>> rows = jnp.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]])
        >>> fit(incremental_pca(1), [rows[:2], rows[2:]]).components.round(4).tolist()
        [[0.577..., 0.577..., 0.577...]]

    Source: Ross et al., International Journal of Computer Vision, 2008.
    """
    k, more = as_int("incremental_pca", "components", components), as_int("incremental_pca", "extra", extra)
    if k < 1 or more < 0:
        raise ValueError(f"incremental_pca: components={k} must be at least 1, and extra={more} at least 0")

    def finalize(state: Factor) -> Components:
        check_size("incremental_pca", k, state.rows, len(state.mean))
        squares = jnp.sum(state.factor**2, axis=1)[:k]
        rows = state.factor[:k] / jnp.where(squares > 0, jnp.sqrt(squares), 1)[:, None]
        divisor = jnp.maximum(as_float(state.rows) - 1, 1)
        return components_of(state.mean, squares, signed(rows), divisor, state.squares, whiten)

    shrink = functools.partial(_leading_rows, k + more)
    parts = functools.partial(_with_batch, shrink), functools.partial(_merged, shrink)
    return Reducer(functools.partial(_start, k + more), *parts, finalize, f"incremental_pca({k})")
