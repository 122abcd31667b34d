"""Histograms of magnitudes whose bins do not depend on the data."""

import math

import jax
import jax.numpy as jnp
import numpy as np

# Bits of a float32 that number a bin: 8 of the exponent and 3 of the mantissa.
_INDEX = 11


def bin_centers() -> jax.Array:
    """Magnitudes in the middle of the bins of histograms, `[2048]`: 8 bins for every power of two.

    The bins do not depend on the data, so histograms of batches and of hosts add up exactly.
    """
    middle = np.arange(2**_INDEX, dtype=np.uint32) << np.uint32(31 - _INDEX) | np.uint32(1 << (30 - _INDEX))
    centers = middle.view(np.float32)
    # Numbers below the smallest normal one count as 0; the last bins hold no finite number.
    return jnp.asarray(np.where(np.isfinite(centers) & (middle >= 1 << 23), centers, 0.0))


def count_magnitudes(x: jax.Array, batch: int = 0) -> jax.Array:
    """Histogram of the entries over all axes but the first `batch`: exponent and three digits are the bin."""
    bits = jax.lax.bitcast_convert_type(jnp.abs(x.astype(jnp.float32)), jnp.uint32)
    rows = (bits >> (31 - _INDEX)).astype(jnp.int32).reshape(math.prod(x.shape[:batch]), -1)
    count = jax.vmap(lambda row: jnp.zeros(2**_INDEX, jnp.float32).at[row].add(1.0))
    return count(rows).reshape(*x.shape[:batch], 2**_INDEX)
