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
    unseen, eye = np.where(diagonal == 0, 1.0, 0.0), np.eye(len(x), dtype=x.dtype)
    extra = damping
    while True:
        try:
            damped = x / level + np.diag((unseen + extra).astype(x.dtype))
            factor = np.linalg.cholesky(damped[::-1, ::-1])[::-1, ::-1]
            if np.isfinite(factor).all():
                root = solve_triangular(factor, eye, lower=False, check_finite=False)
                return root / np.sqrt(level), extra, False
        except np.linalg.LinAlgError:
            pass
        if extra >= MOST * (1 - 1e-6):
            return eye, extra, True
        extra = max(FACTOR * extra, LEAST)
