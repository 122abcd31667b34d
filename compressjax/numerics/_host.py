"""Arrays that NumPy can read without a copy: concrete ones on one CPU."""

from typing import Any

import jax
import numpy as np


def on_host(x: Any) -> np.ndarray | None:
    """The array for NumPy, or None if it is traced, sharded or on another device.

    Outside of `jit`, XLA compiles every operation again for every shape, which takes longer than the operation itself
    on the leaves of a model. NumPy does not compile.
    """
    if isinstance(x, np.ndarray | np.generic):
        return np.asarray(x)
    if isinstance(x, jax.core.Tracer) or not isinstance(x, jax.Array):
        return None
    # A mesh, also of one device, is part of the type of what comes back.
    alone = isinstance(x.sharding, jax.sharding.SingleDeviceSharding)
    return np.asarray(x) if alone and next(iter(x.devices())).platform == "cpu" else None
