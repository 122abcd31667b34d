"""Some columns."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from compressjax.data._affine import Affine


class Selected(NamedTuple):
    """The map `x[:, places]`.

    Attributes:
        places: `[k]`, int32, in ascending order.
        scores: `[features]`, by which they were chosen.
    """

    places: jax.Array
    scores: jax.Array

    def transform(self, x: Any) -> jax.Array:
        """The chosen columns `[n, k]`."""
        return jnp.asarray(x)[:, self.places]

    def inverse_transform(self, z: Any) -> jax.Array:
        """Rows with 0 in the columns that were not chosen."""
        found = jnp.asarray(z)
        return jnp.zeros((len(found), len(self.scores)), found.dtype).at[:, self.places].set(found)

    def affine(self) -> Affine:
        """The same map as a product, for `fold`."""
        matrix = jnp.zeros((len(self.scores), len(self.places))).at[self.places, jnp.arange(len(self.places))].set(1.0)
        return Affine(matrix, jnp.zeros(len(self.places)))


def top_places(who: str, scores: jax.Array, k: int) -> jax.Array:
    """The places of the `k` largest scores, ascending; ties go to the first."""
    if not 1 <= k <= len(scores):
        raise ValueError(f"{who}: k={k} must be at least 1 and at most the {len(scores)} features")
    order = jnp.argsort(-scores, stable=True)[:k]
    return jnp.sort(order).astype(jnp.int32)
