"""The inverse root in NumPy, for matrices that NumPy can read."""

import numpy as np
from scipy.linalg import solve_triangular


def inverse_root_on_host(hessian: np.ndarray, damping: float) -> tuple[np.ndarray, float, bool]:
    """`root`, `condition` and `fallback` of `inverse_root`, without a program that XLA compiles for every size."""
    x = np.asarray(hessian, hessian.dtype if hessian.dtype == np.float64 else np.float32)
    diagonal = np.diagonal(x)
    level = diagonal.mean(dtype=x.dtype) if diagonal.mean() > 0 else x.dtype.type(1)
    x = x / level
    x[np.diag_indices(len(x))] += np.where(diagonal > 0, damping, 1.0 + damping).astype(x.dtype)
    failed = False
    try:
        factor = np.linalg.cholesky(x[::-1, ::-1])[::-1, ::-1]
        root = solve_triangular(factor, np.eye(len(x), dtype=x.dtype), lower=False, check_finite=False)
    except np.linalg.LinAlgError:
        root, failed = _clipped(x), True
    ends = np.diagonal(root)
    return root / np.sqrt(level), float((ends.max() / ends.min()) ** 2), failed


def _clipped(x: np.ndarray) -> np.ndarray:
    eigenvalues, vectors = np.linalg.eigh((x + x.T) / 2)
    least = len(x) * np.finfo(x.dtype).eps * eigenvalues[-1]
    upper = np.linalg.qr(vectors.T / np.sqrt(np.maximum(eigenvalues, least))[:, None], mode="r")
    return np.asarray(upper * np.where(np.diagonal(upper) < 0, -1, 1).astype(x.dtype)[:, None])
