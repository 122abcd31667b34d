"""What needs no compilation outside of `jit`: arrays that NumPy can read, and branches on known values."""

from collections.abc import Callable
from typing import Any, TypeVar

import jax
import numpy as np

T = TypeVar("T")


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


def branch(condition: jax.Array, true: Callable[[], T], false: Callable[[], T]) -> T:
    """`jax.lax.cond` without operands; where the condition is known, only its branch runs, and no program is built.

    A program of a branch with many leaves needs memory for all of them at once.
    """
    if isinstance(condition, jax.core.Tracer):
        return jax.lax.cond(condition, true, false)
    return true() if bool(condition) else false()
