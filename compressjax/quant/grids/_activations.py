"""Scales of int8 activations from the range of what was observed."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.core._checks import is_concrete

SMALLEST = 1e-30


def check_range(who: str, path: str, absmax: jax.Array | None) -> None:
    """Raises if a known range of activations is zero or not finite, as without observations."""
    if absmax is not None and is_concrete(absmax) and not 0 < float(absmax) < math.inf:
        raise ValueError(
            f"{who}: the largest input of {path!r} is {float(absmax)}, so its activations have no scale; pass stats= "
            "from observe, on data that reaches the leaf"
        )


def activation_scale(absmax: jax.Array) -> jax.Array:
    """The scale of int8 activations with a largest magnitude of `absmax`: `absmax / 127`."""
    absmax = jnp.asarray(absmax, jnp.float32)
    return jnp.where(absmax > SMALLEST, absmax * np.float32(1.0 / 127.0), 1.0)
