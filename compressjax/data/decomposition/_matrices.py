"""Decompositions of one matrix: singular values, eigenvalues, and their leading part by random directions."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.core._settings import integers
from compressjax.data._reducer import Reads
from compressjax.data.decomposition._eigen import orthonormal, signed
from compressjax.data.sources._batches import rows_of
from compressjax.data.sources._sparse import is_sparse, product, transposed_product

_HIGH = jax.lax.Precision.HIGHEST
_READS = Reads(sparse=True)


class SVD(NamedTuple):
    """`matrix = left * values @ right`, values from the largest; the largest entry of a right vector is positive."""

    left: jax.Array
    values: jax.Array
    right: jax.Array


class EVD(NamedTuple):
    """`matrix @ vectors = vectors * values`, values from the largest magnitude, columns of length 1."""

    values: jax.Array
    vectors: jax.Array


def svd(matrix: Any) -> SVD:
    """Decomposes a matrix into singular values and vectors.

    .. math:: A = U \\Sigma V^\\top

    Args:
        matrix: `[m, n]`, finite.

    Returns:
        `SVD` with `min(m, n)` values.

    Raises:
        ValueError: If it is no finite matrix: the row and column are named.

    Example:
        >>> svd(jnp.array([[3.0, 0.0], [0.0, 4.0]])).values.tolist()
        [4.0, 3.0]
    """
    left, values, right = jnp.linalg.svd(_floats(rows_of("svd", matrix, 0)), full_matrices=False)
    return _signed(left, values, right)


def evd(matrix: Any) -> EVD:
    """Decomposes a square matrix into eigenvalues and eigenvectors.

    .. math:: A V = V \\Lambda

    Real for a symmetric matrix, else complex; those of matrices that are not symmetric are computed on the host.

    Args:
        matrix: `[n, n]`, finite.

    Returns:
        `EVD` with `n` values.

    Raises:
        ValueError: If it is no finite square matrix.

    Example:
        >>> evd(jnp.array([[2.0, 1.0], [1.0, 2.0]])).values.round().tolist()
        [3.0, 1.0]
    """
    found = np.asarray(rows_of("evd", matrix, 0), np.float64)
    if found.shape[0] != found.shape[1]:
        raise ValueError(f"evd: a matrix of shape {found.shape} has no eigenvalues; take svd")
    values, vectors = np.linalg.eigh(found) if (found == found.T).all() else np.linalg.eig(found)
    order = np.argsort(-np.abs(values), kind="stable")
    values, vectors = values[order], vectors[:, order]
    if not np.iscomplexobj(values):
        vectors = signed(vectors.T).T
    return EVD(*(jnp.asarray(x, jnp.complex64 if np.iscomplexobj(x) else jnp.float32) for x in (values, vectors)))


def randomized_svd(matrix: Any, rank: int, key: jax.Array, *, extra: int = 10, power: int = 4) -> SVD:
    """Decomposes a matrix, dense or sparse, into its leading singular values and vectors.

    .. math:: Q = orth((A A^\\top)^q A \\Omega), \\quad Q^\\top A = \\tilde U \\Sigma V^\\top, \\quad U = Q \\tilde U

    The error of the best approximation grows at most by a factor that falls to 1 exponentially in `q`. It takes
    `2 q + 2` products with the matrix.

    Args:
        matrix: `[m, n]`, dense, BCOO, or sparse of SciPy.
        rank: Number of values, at least 1 and at most `min(m, n)`.
        key: Random key.
        extra: Directions beside them, at least 0.
        power: `q`, at least 0.

    Returns:
        `SVD` with `rank` values.

    Raises:
        ValueError: If a number is out of range, or it is no finite matrix.

    Example:
        >>> randomized_svd(jnp.diag(jnp.array([3.0, 2.0, 1.0])), 2, jax.random.key(0)).values.round().tolist()
        [3.0, 2.0]

    Source: Halko et al., SIAM Review, 2011, arXiv:0909.4061.
    """
    rank, extra, power = integers("randomized_svd", rank=rank, extra=extra, power=power)
    found = rows_of("randomized_svd", matrix, 0, _READS)
    found = found if is_sparse(found) else _floats(found)
    if not 1 <= rank <= min(found.shape) or extra < 0 or power < 0:
        raise ValueError(f"randomized_svd: rank={rank} must be at least 1 and at most {min(found.shape)}, "
                         f"extra={extra} and power={power} at least 0")  # fmt: skip
    return _randomized(found, key, rank, min(rank + extra, *found.shape), power)


@functools.partial(jax.jit, static_argnums=(2, 3, 4))
def _randomized(matrix: Any, key: jax.Array, rank: int, size: int, power: int) -> SVD:
    # Powers of the transposed product need an orthonormal basis of the columns alone, [n, size], and not of [m, size].
    basis = jax.random.normal(key, (matrix.shape[1], size))
    for _ in range(power):
        basis = orthonormal(transposed_product(matrix, product(matrix, basis)))
    left = orthonormal(product(matrix, basis))
    inside, values, right = jnp.linalg.svd(transposed_product(matrix, left).T, full_matrices=False)
    return _signed(jnp.matmul(left, inside[:, :rank], precision=_HIGH), values[:rank], right[:rank])


def _signed(left: jax.Array, values: jax.Array, right: jax.Array) -> SVD:
    turned = signed(right)
    return SVD(left * jnp.sign(jnp.sum(turned * right, axis=1))[None], values, turned)


def _floats(x: jax.Array) -> jax.Array:
    return x if jnp.issubdtype(x.dtype, jnp.floating) else x.astype(jnp.float32)
