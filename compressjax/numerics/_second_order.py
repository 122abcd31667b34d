"""Inverse-Hessian factors for column-by-column error compensation (SparseGPT, GPTQ)."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from compressjax.numerics._numerics import wide


class InverseRoot(NamedTuple):
    """A triangular root of an inverse, with diagnostics.

    Attributes:
        root: `[n, n]`, upper triangular `U` with a positive diagonal and `U^T U = H^-1`.
        condition: Ratio of the largest to the smallest squared diagonal entry of the root, a lower bound of the
            condition number; scalar.
        fallback: Whether the Cholesky factorization failed and eigenvalues were clipped; bool scalar.
    """

    root: jax.Array
    condition: jax.Array
    fallback: jax.Array


def inverse_root(hessian: jax.Array, damping: float = 0.01) -> InverseRoot:
    """Computes an upper triangular root of the inverse of a damped positive semidefinite matrix.

    .. math:: U^\\top U = (H + \\lambda \\, \\overline{h} I)^{-1}, \\qquad \\overline{h} = \\tfrac1n \\sum_i H_{ii}

    A Cholesky factorization of the matrix with reversed rows and columns gives `H = R R^T` with `R` upper triangular
    and `U = R^-1`, so that the inverse itself is never formed. If the factorization fails (for a singular or slightly
    indefinite matrix), eigenvalues are clipped from below at `n eps` times the largest, and a QR decomposition gives
    the root. A zero on the diagonal (an input that is always zero) counts as the mean of the diagonal.

    Source: the Cholesky form of Frantar and Alistarh, arXiv:2301.00774 (frantar2023); the fallback is ours.
    """
    if hessian.ndim != 2 or hessian.shape[0] != hessian.shape[1] or damping < 0:
        raise ValueError(f"hessian {hessian.shape} must be square and damping={damping} at least 0; 0.01 is usual")
    x = wide(hessian)
    diagonal = jnp.diagonal(x)
    mean = jnp.mean(diagonal)
    # Divide by the mean diagonal to avoid overflow and underflow.
    level = jnp.where(mean > 0, mean, 1.0)
    x = x / level + jnp.diag(jnp.where(diagonal > 0, damping, 1.0 + damping).astype(x.dtype))
    factor = jnp.linalg.cholesky(x[::-1, ::-1])[::-1, ::-1]
    failed = ~jnp.all(jnp.isfinite(factor))
    root = jax.lax.cond(failed, _clipped, lambda x: _inverted(factor), x)
    ratio = jnp.max(jnp.diagonal(root)) / jnp.min(jnp.diagonal(root))
    return InverseRoot(root / jnp.sqrt(level), ratio**2, failed)


def _inverted(factor: jax.Array) -> jax.Array:
    return jax.scipy.linalg.solve_triangular(factor, jnp.eye(len(factor), dtype=factor.dtype), lower=False)


def _clipped(x: jax.Array) -> jax.Array:
    eigenvalues, vectors = jnp.linalg.eigh((x + x.T) / 2)
    least = len(x) * float(jnp.finfo(x.dtype).eps) * eigenvalues[-1]
    whitened = vectors.T / jnp.sqrt(jnp.maximum(eigenvalues, least))[:, None]
    upper = jnp.linalg.qr(whitened, mode="r")
    # QR does not fix the signs of rows; make the diagonal positive.
    return upper * jnp.where(jnp.diagonal(upper) < 0, -1, 1).astype(x.dtype)[:, None]
