"""Truncated singular value decomposition of dense, multi-axis and convolution kernels."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.core import Compression
from compressjax.core._checks import is_concrete
from compressjax.core._unfit import UnfitError
from compressjax.lowrank._factorize import Axes, Parts, decomposed, factorization
from compressjax.lowrank._randomized import randomized
from compressjax.lowrank._rule import Rank, Rule, make_rule
from compressjax.lowrank._svd_host import thin_svd
from compressjax.numerics._explicit import explicit, with_shardings
from compressjax.numerics._placement import mesh_of
from compressjax.numerics._subspace import truncated

SOLVERS = ("exact", "randomized", "evd")


def svd(
    *,
    rank: Rank | None = None,
    energy: float | None = None,
    budget: float | None = None,
    inputs: int | None = None,
    batch: int | None = None,
    always: bool = False,
    solver: str = "exact",
    key: jax.Array | None = None,
) -> Compression:
    """Replaces each kernel by the nearest product of two low-rank factors.

    .. math:: W = U \\Sigma V^T \\approx (U_r \\Sigma_r^{1/2})(\\Sigma_r^{1/2} V_r^T)

    This is the best rank-r approximation in the Frobenius norm (Eckart and Young), with error `sum(sigma[r:] ** 2)`.
    The square roots give both factors the same scale, which helps training and quantization.

    Takes `r (in + out)` instead of `in * out` entries, and the same fraction of multiplications, so it is faster on all
    machines if the fraction is well below 1.

    Args:
        rank: Inner dimension, at least 1, or a fraction of `min(in, out)` in (0, 1]; limited to `min(in, out)`. Or
            `"evbmf"` or `"hard_threshold"`, which count the singular values above the noise; or `{path: rank}`, as
            `rank_options` finds them.
        energy: Keeps the smallest rank with this fraction of the squared norm, in (0, 1]. Ranks that depend on the
            values do not run under jit.
        budget: Maximum fraction of the dense parameters, in (0, 1].
        inputs: Number of input axes of a kernel `[*batch, *in, *out]`. None follows the layout; without one it is all
            but the last, which factors a convolution `[h, w, in, out]` into `[h, w, in, r]` and `[r, out]`.
        batch: Number of leading axes (stacked layers) to factorize separately; None follows the layout.
        always: Whether to factorize even if the factors have more entries than the dense kernel.
        solver: `"exact"`; `"randomized"`, products with a few random vectors, for large kernels; `"evd"`, eigenvectors
            of symmetric kernels, which come in half of the time. A kernel on several devices is not gathered for a
            rank that no value decides: `"exact"` then iterates until a step gains less than 1e-7 of the norm.
        key: Random key of `"randomized"`.

    Returns:
        Compression whose nodes are `LowRank`, with straight-through gradients. Kernels that would not shrink do
        not fit: `compress` leaves them out and lists them. Where only values decide, they stay dense elsewhere.

    Raises:
        ValueError: Unless exactly one of `rank`, `energy`, `budget` is given and in range; from `encode`, when a
            leaf is not finite, has too few axes, would not shrink or is not symmetric, or values choose ranks under a
            trace.

    Example:
        >>> from compressjax.core import compress
        >>> kernel = jnp.outer(jnp.arange(8.0), jnp.ones(6))
        >>> compress({"kernel": kernel}, {".*": svd(rank=1)})["kernel"].left.shape
        (8, 1)

    Source: Denton et al., arXiv:1404.0736 (denton2014); Halko et al., arXiv:0909.4061 (halko2011).
    """
    rule = make_rule("svd", rank, energy, budget)
    _check(rule, solver, key)

    def decompose(path: str, x: Any, shape: tuple[int, ...], stats: Any, r: int | None) -> Parts:
        del stats
        if solver == "randomized":
            return randomized(x, shape, r or 1, key)
        if solver == "evd":
            _check_symmetric(path, x, shape)
            return decomposed(_evd, x, shape)
        return exact(x, shape) if r is None or mesh_of(x) is None else spread(x, shape, r)

    return factorization(rule, decompose, Axes(inputs, batch), always=always)


def spread(x: jax.Array, shape: tuple[int, ...], rank: int) -> Parts:
    """The leading part of the decomposition of a kernel on several devices, each vector on those of its axis."""

    def run(x: jax.Array) -> Any:
        return tuple(truncated(x.astype(jnp.float32).reshape(shape), rank))

    shardings: Any = None
    if (leaf := explicit(jax.typeof(x))) is not None:
        spec = (*leaf.spec, *[None] * (x.ndim - len(leaf.spec)))
        lead, rows, columns = spec[: len(shape) - 2], *(spec[-2:] if x.ndim == len(shape) else (None, None))
        parts = (*lead, rows, None), (*lead, None), (*lead, None, columns)
        shardings = tuple(leaf.update(spec=jax.sharding.PartitionSpec(*part)) for part in parts)
    return Parts(*with_shardings(run, shardings)(jax.lax.stop_gradient(x)))


def exact(x: Any, shape: tuple[int, ...]) -> Parts:
    """The decomposition of matrices of some shape."""
    return decomposed(thin_svd, x, shape)


def _evd(xp: Any, matrices: Any) -> Any:
    values, vectors = xp.linalg.eigh((matrices + xp.swapaxes(matrices, -1, -2)) / 2)
    order = xp.argsort(-xp.abs(values), axis=-1)
    values = xp.take_along_axis(values, order, axis=-1)
    left = xp.take_along_axis(vectors, order[..., None, :], axis=-1)
    return left, xp.abs(values), xp.swapaxes(left, -1, -2) * xp.sign(values)[..., None]


def _check_symmetric(path: str, x: Any, shape: tuple[int, ...]) -> None:
    if shape[-1] != shape[-2]:
        raise UnfitError("svd", {path: f"its matrix has the shape {shape}, and solver='evd' takes symmetric ones"})
    if is_concrete(x):
        matrix = np.asarray(x, np.float32).reshape(shape)
        off = float(np.abs(matrix - np.swapaxes(matrix, -1, -2)).max(initial=0.0))
        if off > 1e-5 * float(np.abs(matrix).max(initial=0.0)):
            raise UnfitError("svd", {path: f"it differs from its transpose by up to {off:.3g}; use solver='exact'"})


def _check(rule: Rule, solver: str, key: Any) -> None:
    if solver not in SOLVERS:
        raise ValueError(f"svd: solver={solver!r} is unknown; use one of {SOLVERS}")
    if solver == "randomized" and key is None:  # the others read none: recipes give every method one
        raise ValueError("svd: solver='randomized' needs a key, such as key=jax.random.key(0)")
    if solver == "randomized" and not rule.static:
        raise ValueError(f"svd: {rule.shown} reads all singular values, which solver='randomized' does not compute; "
                         "give rank= or budget=, or solver='exact'")  # fmt: skip
