"""Decompositions of weighted matrices: `C W` in place of `W`, and its factor divided by `C`."""

from typing import Any

import numpy as np

from compressjax.lowrank._factorize import Parts, decomposed, matmul
from compressjax.lowrank._svd_host import thin_svd

# Directions of the inputs below this share of the largest are rounding; at zero, `C` would have no inverse.
LEAST = 1e-7


def by_rows(x: Any, shape: tuple[int, ...], weights: Any) -> Parts:
    """Rows times weights `[*batch, rows]`, at least `LEAST` of the largest."""
    return decomposed(_by_rows, x, shape, weights)


def whitened(x: Any, shape: tuple[int, ...], gram: Any) -> Parts:
    """The root `C` of `gram [*batch, rows, rows]`: `C^T C = gram`, so that `|C W|` is the size of the outputs."""
    return decomposed(_whitened, x, shape, gram)


def _by_rows(xp: Any, matrices: Any, weights: Any) -> Any:
    weights = weights.reshape(matrices.shape[:-1]).astype(np.float32)
    largest = xp.max(weights, axis=-1, keepdims=True)
    safe = xp.where(largest > 0, xp.maximum(weights, LEAST * largest), 1.0)[..., None]
    left, values, right = thin_svd(xp, safe * matrices)
    return left / safe, values, right


def _whitened(xp: Any, matrices: Any, gram: Any) -> Any:
    gram = gram.reshape(*matrices.shape[:-1], matrices.shape[-2]).astype(np.float64 if xp is np else np.float32)
    squares, vectors = xp.linalg.eigh((gram + xp.swapaxes(gram, -1, -2)) / 2)
    largest = xp.maximum(squares[..., -1:], 1e-30)
    root = xp.sqrt(xp.maximum(squares, LEAST * largest))
    left, values, right = thin_svd(xp, root[..., None] * matmul(xp, xp.swapaxes(vectors, -1, -2), matrices))
    return matmul(xp, vectors / root[..., None, :], left), values, right
