"""A shift and a scale for every feature."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from compressjax.data._affine import Affine, reconstruction_error


class Scaling(NamedTuple):
    """The map `(x - shift) / scale`.

    Attributes:
        shift: `[features]`.
        scale: `[features]`, above 0.
    """

    shift: jax.Array
    scale: jax.Array

    def transform(self, x: Any) -> jax.Array:
        """Scaled rows `[n, features]`."""
        return (jnp.asarray(x) - self.shift[None]) / self.scale[None]

    def inverse_transform(self, z: Any) -> jax.Array:
        """Rows as they were."""
        return jnp.asarray(z) * self.scale[None] + self.shift[None]

    def reconstruction_error(self, x: Any) -> jax.Array:
        """Mean squared error of a row: rounding only."""
        return reconstruction_error(self, x)

    def affine(self) -> Affine:
        """The same map as a product, for `fold`."""
        return Affine(jnp.diag(1 / self.scale), -self.shift / self.scale)
