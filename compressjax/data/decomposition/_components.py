"""Projections to a few directions."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from compressjax.data._affine import Affine, reconstruction_error
from compressjax.data.sources._sparse import is_sparse, product
from compressjax.numerics._counts import known

_HIGH = jax.lax.Precision.HIGHEST


class Components(NamedTuple):
    """The map `(x - mean) @ components.T / scale`, with orthonormal rows.

    Attributes:
        mean: `[features]`; 0 for decompositions that do not center.
        components: `[k, features]`.
        scale: `[k]`: 1, or the deviations of the components under whitening.
        explained_variance: `[k]`, variance along the components.
        explained_variance_ratio: `[k]`, its share of the whole variance.
        singular_values: `[k]`, of the centered data.
        noise_variance: Mean variance of the directions that are left out, for probabilistic PCA.
    """

    mean: jax.Array
    components: jax.Array
    scale: jax.Array
    explained_variance: jax.Array
    explained_variance_ratio: jax.Array
    singular_values: jax.Array
    noise_variance: jax.Array

    def transform(self, x: Any) -> jax.Array:
        """Coordinates `[n, k]` of rows `[n, features]`; BCOO rows stay sparse."""
        if is_sparse(x):
            shift = jnp.matmul(self.components, self.mean, precision=_HIGH)
            return (product(x, self.components.T) - shift[None]) / self.scale[None]
        centered = jnp.asarray(x, jnp.float32) - self.mean[None]
        return jnp.matmul(centered, self.components.T, precision=_HIGH) / self.scale[None]

    def inverse_transform(self, z: Any) -> jax.Array:
        """The nearest rows with these coordinates."""
        return jnp.matmul(jnp.asarray(z) * self.scale[None], self.components, precision=_HIGH) + self.mean[None]

    def reconstruction_error(self, x: Any) -> jax.Array:
        """Mean squared error of a row after a projection and back."""
        return reconstruction_error(self, x)

    def affine(self) -> Affine:
        """The same map as a product, for `fold`."""
        matrix = self.components.T / self.scale[None]
        return Affine(matrix, -jnp.matmul(self.mean, matrix, precision=_HIGH))


def components_of(
    mean: jax.Array, values: jax.Array, rows: jax.Array, divisor: Any, total: jax.Array, whiten: bool = False
) -> Components:
    """What a reducer returns, from squared singular values `[k]`, directions `[k, d]`, and the sum of all squares."""
    kept = jnp.maximum(values, 0)
    rest = jnp.maximum(total - jnp.sum(kept), 0) / divisor / max(rows.shape[1] - len(kept), 1)
    deviation = jnp.sqrt(kept / divisor)
    scale = jnp.where(deviation > 0, deviation, 1.0) if whiten else jnp.ones(len(kept))
    ratio = kept / jnp.where(total > 0, total, 1.0)
    return Components(mean, rows, scale, kept / divisor, ratio, jnp.sqrt(kept), rest)


def check_size(who: str, wanted: float, rows: Any, features: int, least: int = 2) -> None:
    """Raises if there are fewer rows or features than components, where the number of rows is known."""
    count = known(rows)
    if (count is not None and (count < least or wanted > count)) or wanted > features:
        raise ValueError(
            f"{who}: {'the' if count is None else count} rows of {features} features do not have components={wanted}; "
            f"it takes at least {least} rows, and as many rows and features as components"
        )
