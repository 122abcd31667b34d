"""Directions of few features."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from compressjax.core._settings import integers, numbers
from compressjax.data._affine import Affine, reconstruction_error
from compressjax.data._coordinate import settled, soft
from compressjax.data._moments import Moments, merged, moments_of, no_moments
from compressjax.data._reducer import Reducer
from compressjax.data.decomposition._components import check_size
from compressjax.data.decomposition._eigen import eigen, signed

_HIGH = jax.lax.Precision.HIGHEST


class SparseComponents(NamedTuple):
    """The map `(x - mean) @ matrix` to coordinates in sparse directions that are not orthogonal.

    Attributes:
        mean: `[features]`.
        components: `[k, features]` of length 1, or 0 where nothing is left.
        matrix: `[features, k]`, ridge regression on the components.
    """

    mean: jax.Array
    components: jax.Array
    matrix: jax.Array

    def transform(self, x: Any) -> jax.Array:
        """Coordinates `[n, k]`."""
        return jnp.matmul(jnp.asarray(x, jnp.float32) - self.mean[None], self.matrix, precision=_HIGH)

    def inverse_transform(self, z: Any) -> jax.Array:
        """Rows with these coordinates."""
        return jnp.matmul(jnp.asarray(z), self.components, precision=_HIGH) + self.mean[None]

    def reconstruction_error(self, x: Any) -> jax.Array:
        """Mean squared error of a row."""
        return reconstruction_error(self, x)

    def affine(self) -> Affine:
        """The same map as a product, for `fold`."""
        return Affine(self.matrix, -jnp.matmul(self.mean, self.matrix, precision=_HIGH))


def sparse_pca(components: int, penalty: float = 1.0, *, ridge: float = 0.01, steps: int = 100) -> Reducer:
    """Returns a reducer to directions with few features each.

    .. math:: \\min_{U, V} \\tfrac12 \\|X - \\mu - U V\\|_F^2 + \\alpha \\sum_{ij} |V_{ij}|, \\quad
        \\|U_{\\cdot j}\\|_2 \\le 1

    `U` always is `(X - mu) M`, so all steps need the scatter alone: one pass, any number of rows.

    Args:
        components: Number of directions, at least 1.
        penalty: `alpha`, at least 0; more makes more entries exactly 0.
        ridge: Of the regression in `transform`, at least 0.
        steps: At most, at least 1.

    Returns:
        Reducer whose result is `SparseComponents`.

    Raises:
        ValueError: If a number is out of range; from `finalize`, if there are fewer rows or features.

    Example:
        >>> from compressjax.data import fit
        >>> rows = jnp.array([[1.0, 0.1, 0.0], [-1.0, 0.0, 0.1], [2.0, -0.1, 0.0], [-2.0, 0.0, -0.1]])
        >>> jnp.abs(fit(sparse_pca(1, 0.5), rows).components).tolist()
        [[1.0, 0.0, 0.0]]

    Source: Zou et al., 2006; this form, Jenatton et al., AISTATS 2010, arXiv:0909.1440.
    """
    k, most = integers("sparse_pca", components=components, steps=steps)
    alpha, below = numbers("sparse_pca", penalty=penalty, ridge=ridge)
    if k < 1 or most < 1 or alpha < 0 or below < 0:
        raise ValueError(f"sparse_pca: components={k} and steps={most} must be at least 1, penalty={penalty} and "
                         f"ridge={ridge} at least 0")  # fmt: skip

    def finalize(state: Moments) -> SparseComponents:
        check_size("sparse_pca", k, state.rows, len(state.mean))
        _, first = eigen(state.scatter, k)
        found = _alternate(state.scatter, first[:k], float(alpha), most)
        sizes = jnp.linalg.norm(found, axis=1, keepdims=True)
        rows = signed(found / jnp.where(sizes > 0, sizes, 1))
        inside = jnp.matmul(rows, rows.T, precision=_HIGH) + jnp.maximum(below, 1e-6) * jnp.eye(k)
        return SparseComponents(state.mean, rows, jnp.linalg.solve(inside, rows).T)

    return Reducer(
        lambda features: no_moments(features, whole=True),
        lambda state, x: merged(state, moments_of(x, whole=True)),
        merged,
        finalize,
        f"sparse_pca({k})",
        eager=True,
    )


@jax.jit
def _alternate(scatter: jax.Array, first: jax.Array, alpha: Any, steps: Any) -> jax.Array:
    """`V [k, d]`, from `M = V^T` at the start."""

    def coded(maps: jax.Array, codes: jax.Array) -> tuple[jax.Array, jax.Array]:
        targets = jnp.matmul(maps.T, scatter, precision=_HIGH)
        gram = jnp.matmul(targets, maps, precision=_HIGH)
        codes = settled(codes, gram, targets, soft(alpha), 200, 1e-6)
        fit = jnp.sum(codes * jnp.matmul(gram, codes, precision=_HIGH)) / 2 - jnp.sum(codes * targets)
        return codes, fit + alpha * jnp.sum(jnp.abs(codes))

    def moved(maps: jax.Array, codes: jax.Array) -> jax.Array:
        gram = jnp.matmul(codes, codes.T, precision=_HIGH)

        def column(j: jax.Array, maps: jax.Array) -> jax.Array:
            curvature = gram[j, j]
            new = maps[:, j] + (codes[j] - jnp.matmul(maps, gram[j], precision=_HIGH)) / jnp.maximum(curvature, 1e-30)
            length = jnp.sqrt(jnp.maximum(jnp.dot(new, jnp.matmul(scatter, new, precision=_HIGH)), 0))
            return maps.at[:, j].set(jnp.where(curvature > 0, new / jnp.maximum(length, 1), maps[:, j]))

        return jax.lax.fori_loop(0, len(codes), column, maps)

    def step(state: Any) -> Any:
        maps, codes, last, _, done = state
        maps = moved(maps, codes)
        codes, value = coded(maps, codes)
        return maps, codes, value, last, done + 1

    def unfinished(state: Any) -> jax.Array:
        _, _, value, last, done = state
        return (done < steps) & ((done < 2) | (last - value > 1e-7 * jnp.abs(value)))

    codes, _ = coded(first.T, first)
    start = (first.T, codes, jnp.full((), jnp.inf), jnp.full((), jnp.inf), jnp.zeros((), jnp.int32))
    return jax.lax.while_loop(unfinished, step, start)[1]
