"""Batches as matrices of finite numbers, with labels."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.data._reducer import Reads
from compressjax.data.sources._sparse import is_sparse, sparse_rows
from compressjax.numerics._host import on_host

_FINITE = Reads()


def batch_of(who: str, batch: Any, first: int, reads: Reads, stays: bool = False) -> Any:
    """A batch as a reducer reads it: rows, or rows and labels; `first` is the number of its first row.

    Rows that stay on the host are not copied into arrays of JAX.
    """
    if reads.labels is None:
        return rows_of(who, batch, first, reads, stays)
    if not isinstance(batch, tuple | list) or len(batch) != 2:
        raise ValueError(f"{who}: the batch at row {first} is {type(batch).__name__}; it must be a pair of rows "
                         "[n, features] and labels [n]")  # fmt: skip
    x = rows_of(who, batch[0], first, reads, stays)
    return x, labels_of(who, batch[1], x.shape[0], first, reads)


def rows_of(who: str, batch: Any, first: int, reads: Reads = _FINITE, stays: bool = False) -> Any:
    """A batch as `[n, features]`, checked; `first` is the number of its first row in the source."""
    if is_sparse(batch):
        if not reads.sparse:
            raise ValueError(
                f"{who}: the batch at row {first} is sparse; this reducer needs dense rows: make them with .toarray(), "
                "batch by batch, or take one that reads sparse rows, as truncated_svd"
            )
        return _in_range(who, sparse_rows(who, batch, first), first, reads)
    x = batch if isinstance(batch, jax.Array) else np.asarray(batch)
    if x.ndim != 2 or not x.shape[1] or not _is_number(x):
        raise ValueError(f"{who}: the batch at row {first} is {x.dtype} of shape {x.shape}; batches are [n, features] "
                         "of numbers: encode text and categories first")  # fmt: skip
    host: Any = on_host(x)
    xp: Any = jnp if host is None else np
    seen = x if host is None else host
    if jnp.issubdtype(x.dtype, jnp.inexact):
        good = ~xp.isinf(seen) if reads.missing else xp.isfinite(seen)
        if not bool(good.all()):
            row, column = np.argwhere(~np.asarray(good))[0].tolist()
            remedy = "drop the row" if reads.missing else "drop the row, or impute it"
            raise ValueError(f"{who}: row {first + row}, column {column} is {x[row, column]}; {remedy}")
    if (reads.low > -np.inf or reads.high < np.inf) and x.dtype != bool:
        bad = (seen < reads.low) | (seen > reads.high)
        if bool(bad.any()):
            row, column = np.argwhere(np.asarray(bad))[0].tolist()
            raise ValueError(f"{who}: row {first + row}, column {column} is {x[row, column]}, not in [{reads.low:g}, "
                             f"{reads.high:g}]; scale or bin the column, or take another method")  # fmt: skip
    return x if stays else jnp.asarray(x)


def _in_range(who: str, x: Any, first: int, reads: Reads) -> Any:
    """Sparse rows, if their entries are in the range that a reducer reads."""
    values = np.asarray(x.data)
    if len(bad := np.flatnonzero((values < reads.low) | (values > reads.high))):
        row, column = np.asarray(x.indices[bad[0]]).tolist()
        raise ValueError(f"{who}: row {first + row}, column {column} is {values[bad[0]]}, not in [{reads.low:g}, "
                         f"{reads.high:g}]; take another method")  # fmt: skip
    return x


def labels_of(who: str, labels: Any, rows: int, first: int, reads: Reads) -> jax.Array:
    """Labels `[n]` of a batch, checked."""
    y = labels if isinstance(labels, jax.Array) else np.asarray(labels)
    if y.shape != (rows,) or not _is_number(y):
        raise ValueError(f"{who}: the labels at row {first} are {y.dtype} of shape {y.shape}; {rows} rows need as many "
                         "labels, numbers: encode names of classes first")  # fmt: skip
    host = np.asarray(y)
    if reads.labels == "numbers":
        bad, said = ~np.isfinite(host.astype(np.float64)), "not finite; drop the row"
    else:
        bad = (host != np.floor(host)) | ~((host >= 0) & (host < (np.inf if reads.classes is None else reads.classes)))
        said = f"no class; they are integers from 0, below classes={reads.classes}"
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise ValueError(f"{who}: the label of row {first + row} is {host[row]}, {said}")
    return jnp.asarray(y, jnp.float32 if reads.labels == "numbers" else jnp.int32)


def _is_number(x: Any) -> bool:
    return bool(jnp.issubdtype(x.dtype, jnp.number)) or x.dtype == bool
