"""Projections to a few directions."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from compressjax.data._affine import Affine, reconstruction_error

_HIGH = jax.lax.Precision.HIGHEST


class Components(NamedTuple):
    """The map `(x - mean) @ components.T / scale`, with orthonormal rows.

    Attributes:
        mean: `[features]`.
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
        """Coordinates `[n, k]` of rows `[n, features]`."""
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
