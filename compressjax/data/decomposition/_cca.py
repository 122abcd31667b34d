"""Directions of two modalities that vary together."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from compressjax.core._settings import as_number, integers
from compressjax.data._affine import Affine
from compressjax.data._moments import Moments, merged, moments_of, no_moments
from compressjax.data._reducer import Reducer
from compressjax.data.decomposition._components import check_size
from compressjax.numerics._counts import as_float

_HIGH = jax.lax.Precision.HIGHEST


class Canonical(NamedTuple):
    """Scores of both modalities: `(x - mean[:split]) @ left` and `(y - mean[split:]) @ right`.

    Attributes:
        mean: `[features]` of both.
        left: `[split, k]`.
        right: `[features - split, k]`.
        correlations: `[k]`, of the scores, from the largest.
    """

    mean: jax.Array
    left: jax.Array
    right: jax.Array
    correlations: jax.Array

    def left_scores(self, x: Any) -> jax.Array:
        """Scores `[n, k]` of the first modality."""
        return jnp.matmul(jnp.asarray(x, jnp.float32) - self.mean[None, : len(self.left)], self.left, precision=_HIGH)

    def right_scores(self, y: Any) -> jax.Array:
        """Scores `[n, k]` of the second modality."""
        return jnp.matmul(jnp.asarray(y, jnp.float32) - self.mean[None, len(self.left) :], self.right, precision=_HIGH)

    def transform(self, x: Any) -> jax.Array:
        """Scores `[n, 2 k]` of joint rows: those of the first modality, then those of the second."""
        split = len(self.left)
        return jnp.concatenate([self.left_scores(x[:, :split]), self.right_scores(x[:, split:])], axis=1)

    def affine(self) -> Affine:
        """The same map as a product, for `fold`."""
        matrix = jax.scipy.linalg.block_diag(self.left, self.right)
        return Affine(matrix, -jnp.matmul(self.mean, matrix, precision=_HIGH))


def cca(components: int, split: int, *, ridge: float = 1e-4) -> Reducer:
    """Returns a reducer to the directions of two modalities whose scores correlate most.

    .. math:: \\max_{a, b} \\frac{a^\\top C_{xy} b}{\\sqrt{a^\\top C_{xx} a \\; b^\\top C_{yy} b}}, \\quad
        C_{xx}^{-1/2} C_{xy} C_{yy}^{-1/2} = U \\rho V^\\top

    Rows hold both modalities side by side. One pass. Scores have variance 1 where `ridge` is small.

    Args:
        components: Number of pairs of directions, at least 1.
        split: How many of the features, the first ones, belong to the first modality.
        ridge: What is added to every variance, as a share of their mean; above 0.

    Returns:
        Reducer whose result is `Canonical`.

    Raises:
        ValueError: If a number is out of range; from `finalize`, if there are fewer rows or features.

    Example:
        >>> from compressjax.data import fit
        >>> x = jnp.array([[1.0, 0.3], [2.0, -0.5], [4.0, 0.1], [7.0, 0.2]])
        >>> joint = jnp.concatenate([x, x[:, :1] * -2], axis=1)
        >>> fit(cca(1, split=2), joint).correlations.round(2).tolist()
        [1.0]

    Source: Hotelling, Biometrika, 1936.
    """
    k, first = integers("cca", components=components, split=split)
    if k < 1 or first < k or as_number("cca", "ridge", ridge) <= 0:
        raise ValueError(f"cca: components={k} must be at least 1 and at most split={first}, ridge={ridge} above 0")

    def finalize(state: Moments) -> Canonical:
        features = len(state.mean)
        if not k <= features - first:
            raise ValueError(f"cca: {features} features with split={first} leave {features - first} to the second "
                             f"modality; components={k} need as many")  # fmt: skip
        check_size("cca", k, state.rows, features)
        covariance = state.scatter / jnp.maximum(as_float(state.rows) - 1, 1)
        roots = [_inverse_root(part, ridge) for part in (covariance[:first, :first], covariance[first:, first:])]
        cross = jnp.matmul(jnp.matmul(roots[0], covariance[:first, first:], precision=_HIGH), roots[1], precision=_HIGH)
        left, values, right = jnp.linalg.svd(cross, full_matrices=False)
        sides = jnp.matmul(roots[0], left[:, :k], precision=_HIGH), jnp.matmul(roots[1], right[:k].T, precision=_HIGH)
        signs = jnp.sign(jnp.sum(sides[0] * jnp.abs(sides[0]), axis=0))[None]
        return Canonical(state.mean, sides[0] * signs, sides[1] * signs, values[:k])

    return Reducer(
        lambda features: no_moments(features, whole=True),
        lambda state, x: merged(state, moments_of(x, whole=True)),
        merged,
        finalize,
        f"cca({k})",
        eager=True,
    )


def _inverse_root(matrix: jax.Array, ridge: float) -> jax.Array:
    values, vectors = jnp.linalg.eigh(matrix)
    kept = jnp.maximum(values, 0) + ridge * jnp.maximum(jnp.mean(values), 1e-30)
    return jnp.matmul(vectors / jnp.sqrt(kept)[None], vectors.T, precision=_HIGH)
