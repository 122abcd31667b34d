"""Second moments of features and targets, for linear models."""

import functools
from typing import Any

import jax
import jax.numpy as jnp

from compressjax.data._moments import Moments, merged, moments_of, no_moments
from compressjax.data._reducer import Reads
from compressjax.data.selection._selected import check_classes
from compressjax.numerics._counts import as_float


def reads_of(who: str, classes: int | None) -> Reads:
    """Labels that are numbers, or some classes."""
    return Reads("numbers") if classes is None else Reads("classes", check_classes(who, classes))


def targets(y: jax.Array, classes: int | None) -> jax.Array:
    """Labels as `[n, outputs]`: the numbers, or a column a class."""
    return y[:, None].astype(jnp.float32) if classes is None else jax.nn.one_hot(y, classes, dtype=jnp.float32)


def no_joint(features: int, classes: int | None) -> Moments:
    """The statistics of no rows."""
    return no_moments(features + (1 if classes is None else classes), whole=True)


def with_batch(state: Moments, batch: tuple[jax.Array, jax.Array], classes: int | None) -> Moments:
    """The statistics after a batch."""
    z = jnp.concatenate([batch[0].astype(jnp.float32), targets(batch[1], classes)], axis=1)
    return merged(state, moments_of(z, whole=True))


@functools.partial(jax.jit, static_argnums=(1, 2))
def gram_and_cross(state: Moments, classes: int | None, standardize: bool) -> tuple[Any, Any]:
    """Covariance of the features `[d, d]` and with the targets `[d, outputs]`; constant features have zeros."""
    features = len(state.mean) - (1 if classes is None else classes)
    covariance = state.scatter[:features] / jnp.maximum(as_float(state.rows), 1)
    variance = jnp.diagonal(covariance)
    # Rounding of a constant feature leaves a variance of about eps^2 mean^2.
    varies = variance > (10 * jnp.finfo(jnp.float32).eps * state.mean[:features]) ** 2
    scale = jnp.where(varies, 1 / jnp.sqrt(jnp.where(varies, variance, 1.0)), 0.0)
    if not standardize:
        scale = jnp.where(varies, 1.0, 0.0)
    scaled = covariance * scale[:, None]
    return scaled[:, :features] * scale[None], scaled[:, features:]
