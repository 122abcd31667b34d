"""The damped root in NumPy, for matrices that NumPy can read."""

import numpy as np
from scipy.linalg import get_lapack_funcs

from compressjax.numerics._damped import FACTOR, LEAST, MOST


def damped_root_on_host(hessian: np.ndarray, damping: float) -> tuple[np.ndarray, float, bool]:
    """`root`, `damping` and `failed` of `damped_root`, without a program that XLA compiles for every size.

    Matrices of inputs by inputs are the largest of all, so there is one, which becomes the damped matrix, its factor
    and the root in turn.
    """
    x = np.asarray(hessian, hessian.dtype if hessian.dtype == np.float64 else np.float32)
    diagonal = np.diagonal(x)
    mean = diagonal.mean(dtype=x.dtype)
    level = mean if mean > 0 else x.dtype.type(1)
    unseen = np.where(diagonal == 0, 1.0, 0.0)
    extra = damping
    work = np.empty(x.shape, x.dtype, order="F")
    while True:
        factor = _factor(x, level, (unseen + extra).astype(x.dtype), work)
        if factor is not None:
            return _inverse(factor, level), extra, False
        if extra >= MOST * (1 - 1e-6):
            return np.eye(len(x), dtype=x.dtype), extra, True
        extra = max(FACTOR * extra, LEAST)


def _factor(x: np.ndarray, level: np.ndarray, extra: np.ndarray, work: np.ndarray) -> np.ndarray | None:
    """The lower factor of the damped matrix with rows and columns reversed, in the memory of `work`; None if none."""
    np.divide(x[::-1, ::-1], level, out=work)
    np.fill_diagonal(work, np.diagonal(work) + extra[::-1])
    if not work.size:
        return work
    (factorize,) = get_lapack_funcs(("potrf",), (work,))
    factor, failed = factorize(work, lower=True, clean=True, overwrite_a=True)
    # Whatever is not finite in a row makes the end of the row so.
    return factor if failed == 0 and np.isfinite(np.diagonal(factor)).all() else None


def _inverse(factor: np.ndarray, level: np.ndarray) -> np.ndarray:
    """The upper root, in the memory of the factor."""
    if factor.size:
        (invert,) = get_lapack_funcs(("trtri",), (factor,))
        factor, _ = invert(factor, lower=True, overwrite_c=True)
    factor /= np.sqrt(level)
    return factor[::-1, ::-1]
