"""Some columns."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental.sparse import BCOO

from compressjax.core._settings import as_int
from compressjax.data._affine import Affine
from compressjax.data.sources._sparse import product
from compressjax.numerics._host import on_host


class Selected(NamedTuple):
    """The map `x[:, places]`.

    Attributes:
        places: `[k]`, int32, in ascending order.
        scores: `[features]`, by which they were chosen.
    """

    places: jax.Array
    scores: jax.Array

    def transform(self, x: Any) -> jax.Array:
        """The chosen columns `[n, k]`; of sparse rows they become dense."""
        if isinstance(x, BCOO):
            return product(x, self.affine().matrix)
        if hasattr(x, "tocsr"):
            return jnp.asarray(x.tocsr()[:, np.asarray(self.places)].toarray())
        return jnp.asarray(x)[:, self.places]

    def inverse_transform(self, z: Any) -> jax.Array:
        """Rows with 0 in the columns that were not chosen."""
        found = jnp.asarray(z)
        return jnp.zeros((len(found), len(self.scores)), found.dtype).at[:, self.places].set(found)

    def affine(self) -> Affine:
        """The same map as a product, for `fold`."""
        matrix = jnp.zeros((len(self.scores), len(self.places))).at[self.places, jnp.arange(len(self.places))].set(1.0)
        return Affine(matrix, jnp.zeros(len(self.places)))


def select_by(scores: Any, k: int) -> Selected:
    """The `k` features with the largest scores, whatever gave the scores.

    .. math:: z = (x_j : s_j \\text{ among the } k \\text{ largest})

    Args:
        scores: `[features]`, without NaN; ties go to the first.
        k: How many, at least 1 and at most the features.

    Returns:
        The selection, a pytree with `transform`.

    Raises:
        ValueError: If `k` is out of range.

    Example:
        >>> select_by(jnp.array([1.0, 3.0, 2.0]), 2).places.tolist()
        [1, 2]
    """
    found = jnp.asarray(scores, jnp.float32)
    return Selected(top_places("select_by", found, as_int("select_by", "k", k)), found)


def check_classes(who: str, classes: Any) -> int:
    """A number of classes, at least 2."""
    if as_int(who, "classes", classes) < 2:
        raise ValueError(f"{who}: classes={classes} must be at least 2; labels are integers from 0")
    return int(classes)


def top_places(who: str, scores: jax.Array, k: int) -> jax.Array:
    """The places of the `k` largest scores, ascending; ties go to the first."""
    if not 1 <= k <= len(scores):
        raise ValueError(f"{who}: k={k} must be at least 1 and at most the {len(scores)} features")
    host = on_host(scores)
    xp: Any = jnp if host is None else np
    order = xp.argsort(-(scores if host is None else host), stable=True)[:k]
    return jnp.asarray(xp.sort(order), jnp.int32)
