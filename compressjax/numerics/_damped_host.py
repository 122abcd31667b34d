"""The damped root in NumPy, for matrices that NumPy can read."""

import numpy as np
from scipy.linalg import solve_triangular

from compressjax.numerics._damped import FACTOR, LEAST, MOST


def damped_root_on_host(hessian: np.ndarray, damping: float) -> tuple[np.ndarray, float, bool]:
    """`root`, `damping` and `failed` of `damped_root`, without a program that XLA compiles for every size."""
    x = np.asarray(hessian, hessian.dtype if hessian.dtype == np.float64 else np.float32)
    diagonal = np.diagonal(x)
    mean = diagonal.mean(dtype=x.dtype)
    level = mean if mean > 0 else x.dtype.type(1)
    unseen = np.where(diagonal == 0, 1.0, 0.0)
    extra = damping
    while True:
        try:
            factor = _factor(x, level, (unseen + extra).astype(x.dtype))
            if np.isfinite(factor).all():
                root = np.eye(len(x), dtype=x.dtype, order="F")
                root = solve_triangular(factor, root, lower=False, check_finite=False, overwrite_b=True)
                root /= np.sqrt(level)
                return root, extra, False
        except np.linalg.LinAlgError:
            pass
        if extra >= MOST * (1 - 1e-6):
            return np.eye(len(x), dtype=x.dtype), extra, True
        extra = max(FACTOR * extra, LEAST)


def _factor(x: np.ndarray, level: np.ndarray, extra: np.ndarray) -> np.ndarray:
    """The upper factor of the damped matrix, in place where NumPy can, as these matrices are the largest of all."""
    damped = x / level
    np.fill_diagonal(damped, np.diagonal(damped) + extra)
    return np.linalg.cholesky(damped[::-1, ::-1])[::-1, ::-1]
