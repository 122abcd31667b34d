"""Low rank plus sparse: robust principal component analysis of kernels."""

import math
from typing import Any

import jax
import numpy as np

from compressjax.core import Compression
from compressjax.core._settings import as_int, as_number
from compressjax.core._unfit import UnfitError
from compressjax.lowrank._factorize import matmul
from compressjax.lowrank._rank import known
from compressjax.lowrank._restructure import Form, Sizes, decompose, restructured
from compressjax.lowrank._svd_host import svd_on_host
from compressjax.tensors import LowRank, Masked, Sum

TOLERANCE, STEPS = 1e-6, 300


def low_rank_plus_sparse(
    rank: int | None = None,
    density: float | None = None,
    *,
    penalty: float | None = None,
    rounds: int = 20,
    always: bool = False,
) -> Compression:
    """Replaces kernels by a product of thin factors and a few single weights.

    .. math:: \\min \\|W - L - S\\|, \\quad rank(L) \\le r, \\; \\|S\\|_0 \\le d\\,|W|
        \\qquad \\text{or} \\qquad \\min \\|L\\|_* + \\lambda \\|S\\|_1, \\; L + S = W

    With `rank` and `density`, both parts are fitted in turn: singular vectors of what is not sparse, the largest
    entries of what is not of low rank. Without, principal component pursuit finds rank and places by itself and keeps
    `W` exactly, which only pays for kernels that are of low rank but for single entries.

    Args:
        rank: Rank of the first part, at least 1.
        density: Share of the entries in the second part, in (0, 1).
        penalty: `lambda`, above 0, where `rank` and `density` are not given; None for `1 / sqrt(max(in, out))`.
        rounds: How often both parts are fitted in turn, at least 1.
        always: Whether to factorize even if that takes more entries.

    Returns:
        Compression whose nodes are `Sum(LowRank, Masked)`, with straight-through gradients.

    Raises:
        ValueError: If settings are out of range or do not go together; from `encode`, when a leaf would not shrink,
            or a pursuit is traced.

    Example:
        >>> from compressjax.core import compress
        >>> import jax.numpy as jnp
        >>> kernel = jnp.ones((16, 16)).at[3, 5].set(9.0)
        >>> node = compress({"kernel": kernel}, {".*": low_rank_plus_sparse(1, 0.01)})["kernel"]
        >>> node.terms[1].mask.sum().item(), bool(jnp.abs(node.materialize() - kernel).max() < 0.01)
        (3, True)

    Source: Zhou and Tao, GoDec: Randomized Low-rank & Sparse Matrix Decomposition in Noisy Case, 2011 (zhou2011);
    Candes et al., arXiv:0912.3599 (candes2011).
    """
    _check(rank, density, penalty, rounds)

    def plan(path: str, batch: Sizes, ins: Sizes, outs: Sizes, x: Any) -> Form:
        rows, columns, count = math.prod(ins), math.prod(outs), math.prod(batch)
        shape, places = (*batch, rows, columns), (*batch, *ins, *outs)

        def node(parts: tuple[Any, ...]) -> Sum:
            left, right, value, mask = parts
            r = left.shape[-1]
            low = LowRank(left.reshape(*batch, *ins, r), right.reshape(*batch, r, *outs), len(ins))
            return Sum((low, Masked(value.reshape(places), mask.reshape(places))))

        if rank is not None and density is not None:
            r, kept = min(rank, rows, columns), max(1, round(density * rows * columns))
            entries = count * (r * (rows + columns) + kept + rows * columns / 32)  # positions take a bit, at most
            return Form(entries, lambda xp, x: _in_turn(xp, x.reshape(shape), r, kept, rounds), node)
        if batch:
            raise UnfitError("low_rank_plus_sparse", {path: f"its {count} matrices have several ranks; give rank="})
        dense = known("low_rank_plus_sparse", "no rank=", path, x).reshape(rows, columns)
        low, sparse = pursuit(dense, penalty)
        left, values, right = svd_on_host(low)
        r = max(int(np.sum(values > 1e-5 * values[0])), 1)
        root = values[:r] ** 0.5
        found = (left[:, :r] * root, root[:, None] * right[:r], sparse, sparse != 0)
        entries = r * (rows + columns) + int((sparse != 0).sum()) + rows * columns / 32
        return Form(entries, lambda xp, x: found, node)

    shown = f"rank={rank}, density={density}" if rank is not None else f"penalty={penalty}"
    return restructured("low_rank_plus_sparse", shown, plan, always=always)


def _in_turn(xp: Any, x: Any, r: int, kept: int, rounds: int) -> tuple[Any, ...]:
    def step(sparse: Any) -> tuple[Any, Any]:
        left, values, right = decompose(xp, x - sparse)
        root = values[..., :r] ** np.float32(0.5)
        return left[..., :r] * root[..., None, :], root[..., :, None] * right[..., :r, :]

    def single(left: Any, right: Any) -> tuple[Any, Any]:
        rest = x - matmul(xp, left, right)
        flat = xp.abs(rest).reshape(*x.shape[:-2], -1)
        # Ranks of ranks: exactly `kept` entries, also among equals.
        places = xp.argsort(xp.argsort(-flat, axis=-1), axis=-1).reshape(x.shape)
        return rest, places < kept

    def both(sparse: Any) -> Any:
        rest, mask = single(*step(sparse))
        return xp.where(mask, rest, np.float32(0))

    sparse = xp.zeros_like(x)
    if xp is np:
        for _ in range(rounds - 1):
            sparse = both(sparse)
    else:
        sparse = jax.lax.fori_loop(0, rounds - 1, lambda _, s: both(s), sparse)
    left, right = step(sparse)
    rest, mask = single(left, right)
    return left, right, xp.where(mask, rest, np.float32(0)), mask


def pursuit(x: np.ndarray, penalty: float | None) -> tuple[np.ndarray, np.ndarray]:
    """Principal component pursuit by alternating directions: a low-rank and a sparse part with the sum `x`."""
    size, weight = np.linalg.norm(x), 1 / max(x.shape) ** 0.5 if penalty is None else penalty
    low, sparse, dual = np.zeros_like(x), np.zeros_like(x), np.zeros_like(x)
    mu = x.size / (4 * max(np.abs(x).sum(), 1e-300))
    for _ in range(STEPS):
        left, values, right = svd_on_host(x - sparse + dual / mu)
        low = (left * np.maximum(values - 1 / mu, 0)) @ right
        goal = x - low + dual / mu
        new = np.sign(goal) * np.maximum(np.abs(goal) - weight / mu, 0)
        dual = dual + mu * (x - low - new)
        moved, sparse = np.linalg.norm(new - sparse), new
        if max(np.linalg.norm(x - low - sparse), moved) <= TOLERANCE * size:
            break
    return low, sparse


def _check(rank: Any, density: Any, penalty: Any, rounds: Any) -> None:
    who = "low_rank_plus_sparse"
    if (rank is None) != (density is None) or (rank is not None and penalty is not None):
        raise ValueError(f"{who}: give rank= and density=, or neither and at most penalty=; it got rank={rank}, "
                         f"density={density}, penalty={penalty}")  # fmt: skip
    if rank is not None and (as_int(who, "rank", rank) < 1 or not 0 < as_number(who, "density", density) < 1):
        raise ValueError(f"{who}: rank={rank} must be at least 1, density={density} in (0, 1)")
    if penalty is not None and not as_number(who, "penalty", penalty) > 0:
        raise ValueError(f"{who}: penalty={penalty} must be above 0")
    if as_int(who, "rounds", rounds) < 1:
        raise ValueError(f"{who}: rounds={rounds} must be at least 1")
