"""Eigenvectors and singular vectors in one order and with one sign."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.linalg

from compressjax.numerics._host import on_host

_HIGH = jax.lax.Precision.HIGHEST


def signed(rows: Any) -> Any:
    """Rows times 1 or -1, so that the largest entry of each is positive: results then depend on no batch or device."""
    xp: Any = np if isinstance(rows, np.ndarray) else jnp
    largest = xp.take_along_axis(rows, xp.argmax(xp.abs(rows), axis=1)[:, None], axis=1)
    return rows * xp.where(largest < 0, -1.0, 1.0)


def eigen(scatter: jax.Array, k: int | None = None) -> tuple[jax.Array, jax.Array]:
    """The `k` largest eigenvalues of a symmetric matrix, at least 0, and signed eigenvectors as rows; all if None."""
    host = on_host(scatter)
    if host is None:
        values, vectors = jnp.linalg.eigh(scatter)
    elif k is not None and 2 * k < len(host):
        some = (len(host) - k, len(host) - 1)
        values, vectors = scipy.linalg.eigh(host.astype(np.float64), subset_by_index=some)
    else:
        values, vectors = np.linalg.eigh(host.astype(np.float64))
    xp: Any = jnp if host is None else np
    values, rows = xp.maximum(values[::-1][:k], 0), signed(vectors[:, ::-1][:, :k].T)
    return jnp.asarray(values, jnp.float32), jnp.asarray(rows, jnp.float32)


def leading(rows: jax.Array, k: int) -> tuple[jax.Array, jax.Array]:
    """The `k` largest squared singular values of `rows [n, d]`, and the right singular vectors as rows.

    From the smaller of the two products of the matrix with itself, which takes a fraction of the time of a singular
    value decomposition; values below 1e-3 of the largest are rounding.
    """
    n, d = rows.shape
    if n >= d:
        values, vectors = jnp.linalg.eigh(jnp.matmul(rows.T, rows, precision=_HIGH))
        return jnp.maximum(values[::-1][:k], 0), vectors[:, ::-1][:, :k].T
    values, vectors = jnp.linalg.eigh(jnp.matmul(rows, rows.T, precision=_HIGH))
    kept = jnp.maximum(values[::-1][:k], 0)
    back = jnp.matmul(vectors[:, ::-1][:, :k].T, rows, precision=_HIGH)
    sizes = jnp.linalg.norm(back, axis=1, keepdims=True)
    right = back / jnp.where(sizes > 0, sizes, 1)
    missing = k - right.shape[0]
    return (kept, right) if missing <= 0 else (jnp.pad(kept, (0, missing)), jnp.pad(right, ((0, missing), (0, 0))))


def orthonormal(columns: jax.Array) -> jax.Array:
    """An orthonormal basis of the columns of `[d, k]`."""
    return jnp.linalg.qr(columns)[0]
