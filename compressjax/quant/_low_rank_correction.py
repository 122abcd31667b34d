"""Low-rank correction: a grid plus factors of what the grid loses."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from compressjax.core import Compression, Dense, from_encode
from compressjax.core._layout import Layout, layout_of
from compressjax.core._settings import as_int
from compressjax.core._unfit import UnfitError
from compressjax.numerics import with_auto_axes
from compressjax.numerics._numerics import wide
from compressjax.numerics._placement import mesh_of
from compressjax.numerics._subspace import truncated
from compressjax.quant._grid import Grid, best_ratio, make_grid, quantize
from compressjax.saliency._layout import layout
from compressjax.tensors import LowRank, Sum


def low_rank_correction(
    rank: int,
    bits: int | str | Grid = 4,
    *,
    granularity: str | int | tuple[int, int] | None = None,
    symmetric: bool = True,
    activation: str | None = None,
    axis: int | tuple[int, ...] | None = None,
    order: tuple[int, ...] | None = None,
    clip: str | None = None,
    fallback: str = "skip",
    iterations: int = 1,
) -> Compression:
    """Stores a rounded kernel and the best low-rank approximation of its error.

    .. math:: Q_t = Q(W - L_{t-1} R_{t-1}), \\qquad L_t R_t = \\mathrm{svd}_r(A^{1/2} (W - Q_t)), \\quad L_0 R_0 = 0

    With statistics, rows of the error are weighed by the root mean square `A^{1/2}` of their input, and the factors
    divided by it. Iterations alternate, as LoftQ does. Bytes are those of the grid and of `r (in + out)` values; two
    more products at run time.

    Args:
        rank: Rank of the correction, at least 1.
        bits: As for `rtn`: the bits, the name of a format, or a ready `grid`.
        granularity: As for `grid`.
        symmetric: As for `grid`.
        activation: As for `grid`, except `"static"`.
        axis: As for `grid`.
        order: As for `grid`.
        clip: As for `grid`.
        fallback: As for `grid`.
        iterations: How often grid and factors are fitted in turn, at least 1.

    Returns:
        Compression whose nodes are `Sum(Quantized, LowRank)`; statistics are optional.

    Raises:
        ValueError: If a setting is out of range.

    Example:
        >>> from compressjax.core import compress
        >>> kernel = jnp.array([[0.5, 1.0], [0.2, 0.7]])
        >>> node = compress({"kernel": kernel}, {".*": low_rank_correction(2, 2)})["kernel"]
        >>> bool(jnp.allclose(node.materialize(), kernel, atol=1e-6))
        True

    Source: Li et al., arXiv:2310.08659 (li2023); Li et al., arXiv:2411.05007 (li2024).
    """
    grid = make_grid("low_rank_correction", bits, granularity, symmetric, axis, order, activation, clip, fallback)
    for name, value in (("rank", rank), ("iterations", iterations)):
        if as_int("low_rank_correction", name, value) < 1:
            raise ValueError(f"low_rank_correction: {name}={value} must be at least 1")
    if grid.activation == "static":
        raise ValueError("low_rank_correction: activation='static' is not supported; use 'dynamic' or None")

    def encode(path: str, x: jax.Array, stats: Any) -> Sum:
        shaped = layout_of(path, x.shape) if stats is None else layout(path, x.shape, stats)
        size = None if stats is None else stats.squares.reshape(-1, stats.squares.shape[-1])
        low: Any = None
        rest = wide(x).astype(jnp.float32)
        for _ in range(iterations):
            left = rest if low is None else rest - low.materialize()
            node = quantize(path, left, grid, best_ratio(path, left, grid))[0]
            low = _low_rank(path, rest - node.materialize(), size, shaped, rank)
        return Sum((node.convert(x.dtype), low.convert(x.dtype)))

    return from_encode(f"low_rank_correction({grid}, rank={rank})", encode)


def _low_rank(path: str, wrong: jax.Array, size: jax.Array | None, shaped: Layout, rank: int) -> LowRank:
    """Factors of an error, with its axes back in place."""
    one = jnp.zeros(())
    left, right = with_auto_axes(lambda w, s: _factors(w, s, shaped, rank), (one, one))(wrong, size)
    sizes = [[wrong.shape[a] for a in part] for part in shaped]
    r = left.shape[-1]
    found = LowRank(
        left.reshape(*sizes[0], *sizes[1], r), right.reshape(*sizes[0], r, *sizes[2]), len(shaped.inputs)
    ).transpose(shaped.inverse)  # fmt: skip
    if isinstance(found, Dense):
        raise UnfitError("low_rank_correction", {path: f"shape {wrong.shape} with {shaped}: {found.reason}"})
    return found


@partial(jax.jit, static_argnums=(2, 3))
def _factors(wrong: jax.Array, size: jax.Array | None, shaped: Layout, rank: int) -> tuple[jax.Array, jax.Array]:
    matrix = shaped.matrices(wrong)
    weight = jnp.ones(matrix.shape[:2]) if size is None else jnp.sqrt(size)
    # Inputs that are always zero would divide by zero; their share of the factors has no effect.
    weight = jnp.where(weight > 0, weight, 1.0)[..., None]
    one = mesh_of(matrix) is None
    u, s, vt = jnp.linalg.svd(matrix * weight, full_matrices=False) if one else truncated(matrix * weight, rank)
    root = jnp.sqrt(s[:, :rank])
    return u[:, :, :rank] * root[:, None] / weight, root[:, :, None] * vt[:, :rank]
