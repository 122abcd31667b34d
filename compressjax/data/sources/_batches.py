"""Batches as matrices of finite numbers."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.numerics._host import on_host


def rows_of(who: str, batch: Any, first: int) -> jax.Array:
    """A batch as `[n, features]`, checked; `first` is the number of its first row in the source."""
    x = batch if isinstance(batch, jax.Array) else np.asarray(batch)
    if x.ndim != 2 or not x.shape[1] or not (np.issubdtype(x.dtype, np.number) or x.dtype == bool):
        raise ValueError(f"{who}: the batch at row {first} is {x.dtype} of shape {x.shape}; batches are [n, features] "
                         "of numbers: encode text and categories first")  # fmt: skip
    host = on_host(x)
    if not jnp.issubdtype(x.dtype, jnp.inexact):
        return jnp.asarray(x)
    finite = np.isfinite(host).all() if host is not None else bool(jnp.isfinite(x).all())
    if not finite:
        row, column = np.argwhere(~np.isfinite(np.asarray(x, np.float64)))[0].tolist()
        raise ValueError(f"{who}: row {first + row}, column {column} is {x[row, column]}; drop the row, or impute it")
    return jnp.asarray(x)
