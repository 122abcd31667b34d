"""Sparse batches, which never become dense."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental.sparse import BCOO

_HIGH = jax.lax.Precision.HIGHEST


def is_sparse(x: Any) -> bool:
    """Whether `x` is a sparse matrix of JAX or SciPy."""
    return isinstance(x, BCOO) or hasattr(x, "tocoo")


def sparse_rows(who: str, batch: Any, first: int) -> BCOO:
    """A sparse batch as BCOO, checked.

    The number of entries is padded to a power of two with entries outside, which products drop, so that few programs
    are compiled.
    """
    if isinstance(batch, BCOO):
        found = batch
    else:
        parts = batch.tocoo()
        stored = len(parts.data)
        length = 1 << max(stored - 1, 0).bit_length()
        indices = np.full((length, 2), batch.shape, np.int32)
        indices[:stored, 0], indices[:stored, 1] = parts.coords if hasattr(parts, "coords") else (parts.row, parts.col)
        values = np.zeros(length, np.float32)
        values[:stored] = parts.data
        found = BCOO((jnp.asarray(values), jnp.asarray(indices)), shape=tuple(batch.shape))
    if found.ndim != 2 or not found.shape[1]:
        raise ValueError(f"{who}: the batch at row {first} has shape {found.shape}; batches are [n, features]")
    values = np.asarray(found.data)
    if not np.isfinite(values).all():
        place = int(np.flatnonzero(~np.isfinite(values))[0])
        row, column = np.asarray(found.indices[place]).tolist()
        raise ValueError(f"{who}: row {first + row}, column {column} is {values[place]}; drop the row, or impute it")
    return found


def product(x: Any, matrix: jax.Array) -> jax.Array:
    """`x @ matrix` of a dense or sparse `x [n, d]`."""
    return x @ matrix if isinstance(x, BCOO) else jnp.matmul(x, matrix, precision=_HIGH)


def transposed_product(x: Any, matrix: jax.Array) -> jax.Array:
    """`x.T @ matrix` of a dense or sparse `x [n, d]`."""
    return x.T @ matrix if isinstance(x, BCOO) else jnp.matmul(x.T, matrix, precision=_HIGH)
