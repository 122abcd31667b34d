"""Truncated singular value decomposition of dense, multi-axis and convolution kernels."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.core import Compression, Dense, from_encode, ops
from compressjax.core._layout import Layout, layout_of, results
from compressjax.core._settings import as_number
from compressjax.core._unfit import UnfitError
from compressjax.lowrank._rank import affordable, rank_by_energy, split, unpaid
from compressjax.lowrank._svd_host import svd_on_host
from compressjax.numerics._explicit import with_whole_results
from compressjax.numerics._host import on_host
from compressjax.tensors import LowRank


def svd(
    *,
    rank: int | float | None = None,
    energy: float | None = None,
    budget: float | None = None,
    inputs: int | None = None,
    batch: int | None = None,
    always: bool = False,
) -> Compression:
    """Replaces each kernel by the nearest product of two low-rank factors.

    .. math:: W = U \\Sigma V^T \\approx (U_r \\Sigma_r^{1/2})(\\Sigma_r^{1/2} V_r^T)

    This is the best rank-r approximation in the Frobenius norm (Eckart and Young), with error `sum(sigma[r:] ** 2)`.
    The square roots give both factors the same scale, which helps training and quantization.

    Takes `r (in + out)` instead of `in * out` entries, and the same fraction of multiplications, so it is faster on all
    machines if the fraction is well below 1.

    Args:
        rank: Inner dimension, at least 1, or a fraction of `min(in, out)` in (0, 1]; limited to `min(in, out)`.
        energy: Keeps the smallest rank with this fraction of the squared norm, in (0, 1]. The rank depends on the
            values, so `encode` does not run under jit.
        budget: Maximum fraction of the dense parameters, in (0, 1].
        inputs: Number of input axes of a kernel `[*batch, *in, *out]`. None follows the layout; without one it is all
            but the last, which factors a convolution `[h, w, in, out]` into `[h, w, in, r]` and `[r, out]`.
        batch: Number of leading axes (stacked layers) to factorize separately; None follows the layout.
        always: Whether to factorize even if the factors have more entries than the dense kernel.

    Returns:
        Compression whose nodes are `LowRank`, with straight-through gradients. Kernels that would not shrink do
        not fit: `compress` leaves them out and lists them. Under `energy`, which only values decide, they stay dense
        elsewhere.

    Raises:
        ValueError: Unless exactly one of `rank`, `energy`, `budget` is given and in range; from `encode`, when a
            leaf is not finite, has too few axes or would not shrink, or `energy` is used under a trace.

    Example:
        >>> from compressjax.core import compress
        >>> kernel = jnp.outer(jnp.arange(8.0), jnp.ones(6))
        >>> compress({"kernel": kernel}, {".*": svd(rank=1)})["kernel"].left.shape
        (8, 1)

    Source: Denton et al., arXiv:1404.0736 (denton2014).
    """
    rank, energy, budget = (
        None if x is None else as_number("svd", name, x)
        for name, x in (("rank", rank), ("energy", energy), ("budget", budget))
    )
    _check(rank, energy, budget)
    settings = {"rank": rank, "energy": energy, "budget": budget}
    chosen = next(f"{name}={x}" for name, x in settings.items() if x is not None)

    def check(path: str, x: jax.Array) -> None:
        axes = _axes(path, x.shape, inputs, batch)
        shape, sides = tuple(x.shape[axis] for axis in axes.order), (len(axes.inputs), len(axes.batch))
        fixed = _fixed_rank(shape, rank, budget, *sides)
        if fixed is not None and x.size and (reason := larger(shape, fixed, *sides)):
            raise UnfitError("svd", {path: reason})

    def larger(shape: tuple[int, ...], r: int, inputs: int, batch: int) -> str:
        return "" if always else unpaid(chosen, shape, r, inputs, batch)

    def encode(path: str, x: jax.Array, stats: Any) -> LowRank | jax.Array:
        del stats
        if not x.size:
            return x
        axes = _axes(path, x.shape, inputs, batch)
        host = on_host(x)
        turned = jnp.transpose(x, axes.order) if host is None else np.transpose(host, axes.order)
        found = _factors(path, turned, len(axes.inputs), len(axes.batch))
        if found is None:
            return x
        back = ops.transpose(found, axes.inverse) if axes.order != tuple(range(x.ndim)) else found
        if isinstance(back, Dense):
            raise UnfitError("svd", {path: f"shape {x.shape} with {axes}: {back.reason}; set inputs= and batch="})
        return jax.tree.map(jnp.asarray, back)

    def _factors(path: str, x: Any, inputs: int, batch: int) -> LowRank | None:
        axes, rows, columns = split(x.shape, inputs, batch)
        fixed = _fixed_rank(x.shape, rank, budget, inputs, batch)
        u, s, vt = _decomposed(x, batch, rows, columns)
        r = rank_by_energy(s, float(energy or 1.0), path) if fixed is None else fixed
        if reason := larger(x.shape, r, inputs, batch):
            if results() is not None:
                raise UnfitError("svd", {path: reason})
            return None
        root = s[..., :r] ** 0.5
        left = (u[..., :r] * root[..., None, :]).reshape(*x.shape[: batch + axes], r)
        right = (root[..., :, None] * vt[..., :r, :]).reshape(*x.shape[:batch], r, *x.shape[batch + axes :])
        return LowRank(left.astype(x.dtype), right.astype(x.dtype), axes)

    return from_encode(f"svd({chosen})", encode, check_leaf=check)


def _decomposed(x: Any, batch: int, rows: int, columns: int) -> Any:
    """Left vectors, singular values and right vectors of every matrix, in float32."""
    if isinstance(x, np.ndarray):  # needs no program for every shape, and slices of its results none for every rank
        return svd_on_host(x.astype(np.float32).reshape(*x.shape[:batch], rows, columns))

    def decompose(x: Any) -> Any:
        matrix = x.astype(jnp.float32).reshape(*x.shape[:batch], rows, columns)
        return tuple(jnp.linalg.svd(matrix, full_matrices=False))

    # The gradient of the view is straight-through, so do not differentiate the decomposition.
    return with_whole_results(decompose, x)(jax.lax.stop_gradient(x))


def _axes(path: str, shape: tuple[int, ...], inputs: int | None, batch: int | None) -> Layout:
    """The axes of the factors: as set, or as the layout says."""
    if inputs is None and batch is None:
        axes = layout_of(path, shape)
    else:
        lead, count = batch or 0, len(shape) - (batch or 0) - 1 if inputs is None else inputs
        axes = Layout(*(tuple(range(a, b)) for a, b in ((0, lead), (lead, lead + count), (lead + count, len(shape)))))
    if not axes.inputs or not axes.outputs:
        raise UnfitError(
            "svd", {path: f"shape {shape} with batch={batch} and inputs={inputs}: both sides need an axis"}
        )
    return axes


def _fixed_rank(
    shape: tuple[int, ...], rank: int | float | None, budget: float | None, inputs: int | None, batch: int
) -> int | None:
    """The rank if it only depends on shapes; None if it depends on values."""
    _, rows, columns = split(shape, inputs, batch)
    if isinstance(rank, float):
        return max(1, math.floor(rank * min(rows, columns) + 1e-9))
    if rank is not None:
        return min(rank, rows, columns)
    return None if budget is None else affordable(shape, budget, inputs=inputs, batch=batch)


def _check(rank: int | float | None, energy: float | None, budget: float | None) -> None:
    given = {k: v for k, v in {"rank": rank, "energy": energy, "budget": budget}.items() if v is not None}
    if len(given) != 1:
        raise ValueError(f"svd needs exactly one of rank, energy and budget; it got {given or 'none'}")
    name, number = next(iter(given.items()))
    if name == "rank" and not isinstance(number, float):
        if number < 1:
            raise ValueError(f"svd: rank={number} must be at least 1, or a fraction such as 0.25")
    elif not 0.0 < number <= 1.0:
        raise ValueError(f"svd: {name}={number} must lie in (0, 1]" + ("; ranks are integers" * (name == "rank")))
