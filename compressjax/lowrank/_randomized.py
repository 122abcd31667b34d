"""Leading singular vectors from products with a few random ones."""

from typing import Any

import jax
import numpy as np

from compressjax.lowrank._factorize import Parts, decomposed, matmul
from compressjax.lowrank._svd_host import thin_svd

# Directions beside the rank, and products with the matrix and its transpose before the last: within 1 % of the best
# error for flat spectra as well.
EXTRA, POWER = 10, 2


def randomized(x: Any, shape: tuple[int, ...], rank: int, key: Any) -> Parts:
    """The decomposition within the span of `(A A^T)^q A Omega` (Halko et al., arXiv:0909.4061).

    .. math:: Q = orth((A A^\\top)^q A \\Omega), \\quad Q^\\top A = \\tilde U \\Sigma V^\\top, \\quad U = Q \\tilde U
    """
    rows, columns = shape[-2:]
    size = min(rank + EXTRA, rows, columns)
    if isinstance(x, np.ndarray):  # its own numbers: JAX would compile their program for every shape
        seed = np.asarray(jax.random.key_data(key)).ravel().tolist()
        start: Any = np.random.default_rng(seed).standard_normal((columns, size), np.float32)
    else:
        start = jax.random.normal(key, (columns, size))
    return decomposed(_within, x, shape, start)


def _within(xp: Any, a: Any, start: Any) -> Any:
    back = xp.swapaxes(a, -1, -2)
    basis = matmul(xp, a, start)
    for _ in range(POWER):
        basis = matmul(xp, a, xp.linalg.qr(matmul(xp, back, xp.linalg.qr(basis)[0]))[0])
    basis = xp.linalg.qr(basis)[0]
    inside = matmul(xp, xp.swapaxes(basis, -1, -2), a)
    left, values, right = thin_svd(xp, inside)
    return matmul(xp, basis, left), values, right
