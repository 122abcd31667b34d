"""What gates leave open, as a selection."""

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.data.selection._selected import Selected, select_by


def check_features(who: str, features: int) -> int:
    """A number of features, at least 1."""
    if features < 1:
        raise ValueError(f"{who}: features={features} must be at least 1")
    return features


def opened(who: str, scores: jax.Array, is_open: jax.Array, k: int | None) -> Selected:
    """The open gates, or the `k` with the largest scores."""
    if k is not None:
        return select_by(scores, k)
    places = np.flatnonzero(np.asarray(is_open))
    if not len(places):
        raise ValueError(f"{who}: every gate is closed; train with a smaller penalty, or give k")
    return Selected(jnp.asarray(places, jnp.int32), jnp.asarray(scores, jnp.float32))
