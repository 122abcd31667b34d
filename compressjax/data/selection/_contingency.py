"""How often every value of a feature meets every class."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import xlogy

from compressjax.core._settings import as_int
from compressjax.data._reducer import Reads


def check_bins(who: str, bins: Any, edges: Any) -> int:
    """The number of bins, at least 2, from itself or from inner edges."""
    if edges is not None:
        edges = np.asarray(edges)
        if edges.ndim not in (1, 2) or not edges.shape[-1] or not (np.diff(edges, axis=-1) >= 0).all():
            raise ValueError(f"{who}: edges of shape {edges.shape} must be ascending, [bins - 1] or "
                             "[features, bins - 1]")  # fmt: skip
        return int(edges.shape[-1]) + 1
    if as_int(who, "bins", bins) < 2:
        raise ValueError(f"{who}: bins={bins} must be at least 2, the number of values 0, 1, ... of a feature; give "
                         "edges for other values")  # fmt: skip
    return int(bins)


def reads_bins(classes: int, bins: int, edges: Any) -> Reads:
    """Rows with classes; without edges, values are the bins themselves."""
    return Reads("classes", classes) if edges is not None else Reads("classes", classes, low=0.0, high=bins - 1.0)


def binned(x: jax.Array, edges: Any) -> jax.Array:
    """The bin of every value `[n, features]`: the number of edges at or below it, or the value without its fraction."""
    if edges is None:
        return jnp.floor(x.astype(jnp.float32)).astype(jnp.int32)
    limits = jnp.asarray(edges, jnp.float32)
    limits = jnp.broadcast_to(limits, (x.shape[1], limits.shape[-1]))
    found = jax.vmap(lambda e, v: jnp.searchsorted(e, v, side="right"), in_axes=(0, 1), out_axes=1)
    return found(limits, x.astype(jnp.float32)).astype(jnp.int32)


def counted(b: jax.Array, y: jax.Array, bins: int, classes: int) -> jax.Array:
    """Counts `[features, bins, classes]` of bins `[n, features]` and classes `[n]`."""
    features = b.shape[1]
    places = (jnp.arange(features)[None] * bins + b) * classes + y[:, None]
    return jnp.zeros(features * bins * classes, jnp.int32).at[places].add(1).reshape(features, bins, classes)


@jax.jit
def information(counts: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Mutual information in nats, and the entropy of the feature, from counts `[..., bins, classes]`."""
    p = counts.astype(jnp.float32)
    p = p / jnp.maximum(jnp.sum(p, axis=(-2, -1), keepdims=True), 1)
    own, other = jnp.sum(p, axis=-1, keepdims=True), jnp.sum(p, axis=-2, keepdims=True)
    shared = jnp.sum(p * jnp.log(jnp.where(p > 0, p / jnp.where(p > 0, own * other, 1.0), 1.0)), axis=(-2, -1))
    return jnp.maximum(shared, 0.0), -jnp.sum(xlogy(own, own), axis=(-2, -1))
