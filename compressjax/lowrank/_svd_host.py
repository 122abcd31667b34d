"""Singular value decompositions in NumPy, for leaves that NumPy can read: XLA compiles for seconds at every shape."""

from typing import Any

import jax.numpy as jnp
import numpy as np

# LAPACK reduces both sides of a matrix to its singular values; eigenvectors of the smaller Gram matrix need one side.
# In float64 that costs more than it saves unless one side is longer by this factor.
LONG = 1.25


def thin_svd(xp: Any, matrices: Any) -> Any:
    """Left vectors, singular values and right vectors by NumPy or by JAX."""
    return svd_on_host(matrices) if xp is np else jnp.linalg.svd(matrices, full_matrices=False)


def svd_on_host(matrices: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Left vectors, singular values and right vectors of float32 matrices `[*batch, rows, columns]`."""
    rows, columns = matrices.shape[-2:]
    if max(rows, columns) < LONG * min(rows, columns):
        left, values, right = np.linalg.svd(matrices, full_matrices=False)
        return left, values, right
    if rows <= columns:
        return _by_gram(matrices)
    left, values, right = _by_gram(np.swapaxes(matrices, -1, -2))
    return np.swapaxes(right, -1, -2), values, np.swapaxes(left, -1, -2)


def _by_gram(wide: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of matrices with more columns than rows.

    The values are the lengths of the projected rows, not roots of eigenvalues: those know nothing below the square root
    of the precision, and the product of the factors would be wrong by what they lack.
    """
    double = wide.astype(np.float64)
    _, vectors = np.linalg.eigh(double @ np.swapaxes(double, -1, -2))
    left = vectors[..., ::-1].astype(wide.dtype)
    right = np.swapaxes(left, -1, -2) @ wide
    values = np.linalg.norm(right, axis=-1)
    return left, values, right / np.where(values > 0, values, 1)[..., None]
