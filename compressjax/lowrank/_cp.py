"""CP decomposition by alternating least squares."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.core import Compression
from compressjax.core._settings import as_int, as_number
from compressjax.lowrank._restructure import Form, Sizes, decompose, leading, restructured
from compressjax.tensors import CP


def cp(*, rank: int | None = None, budget: float | None = None, rounds: int = 50, always: bool = False) -> Compression:
    """Replaces kernels by sums of outer products, one vector for every axis.

    .. math:: W_{a b \\dots} \\approx \\sum_r A_{a r} B_{b r} \\cdots, \\qquad
        A \\leftarrow W_{(a)} (\\cdots \\odot B) \\, \\big((B^T B) \\circ \\cdots\\big)^{-1}

    Factors start at leading singular vectors and are solved for in turn. Takes `rank` numbers for every index of every
    axis; a convolution runs as 1x1, one of each channel alone, and 1x1. Matrices get their singular vectors.

    Args:
        rank: Number of outer products, at least 1.
        budget: Largest fraction of the dense parameters, in (0, 1], in the place of `rank`.
        rounds: How often every factor is solved for, at least 1.
        always: Whether to factorize even if that takes more entries.

    Returns:
        Compression whose nodes are `CP`, with straight-through gradients.

    Raises:
        ValueError: Unless exactly one of `rank` and `budget` is given and in range; from `encode`, when a leaf would
            not shrink.

    Example:
        >>> from compressjax.core import compress
        >>> node = compress({"conv": jnp.ones((3, 3, 4, 4))}, {".*": cp(rank=1)})["conv"]
        >>> [f.shape for f in node.factors], bool(jnp.allclose(node.materialize(), 1, atol=1e-5))
        ([(3, 1), (3, 1), (4, 1), (4, 1)], True)

    Source: Lebedev et al., arXiv:1412.6553 (lebedev2015).
    """
    chosen = rank_or_budget("cp", rank, budget)
    if as_int("cp", "rounds", rounds) < 1:
        raise ValueError(f"cp: rounds={rounds} must be at least 1")

    def plan(path: str, batch: Sizes, ins: Sizes, outs: Sizes, x: Any) -> Form:
        del path, x
        sizes = (*ins, *outs)
        dense = math.prod(sizes)
        r = chosen if isinstance(chosen, int) else max(1, math.floor(chosen * dense / sum(sizes) + 1e-9))
        return Form(
            math.prod(batch) * r * sum(sizes),
            lambda xp, x: _factors(xp, x.reshape(math.prod(batch), *sizes), min(r, dense), rounds, batch),
            lambda parts: CP(tuple(parts)),
        )

    return restructured("cp", f"rank={rank}" if budget is None else f"budget={budget}", plan, always=always)


def rank_or_budget(who: str, rank: Any, budget: Any) -> int | float:
    """The rank as an integer, or the budget as a float."""
    if (rank is None) == (budget is None):
        raise ValueError(f"{who} needs exactly one of rank and budget; it got rank={rank}, budget={budget}")
    if rank is not None:
        found = as_int(who, "rank", rank)
        if found < 1:
            raise ValueError(f"{who}: rank={rank} must be at least 1")
        return found
    share = float(as_number(who, "budget", budget))
    if not 0 < share <= 1:
        raise ValueError(f"{who}: budget={budget} must lie in (0, 1]")
    return share


def _factors(xp: Any, x: Any, rank: int, rounds: int, batch: Sizes) -> tuple[Any, ...]:
    """Of every tensor of `[n, *sizes]`."""
    if xp is np:
        found = [_als(np, one, rank, rounds) for one in x]
        parts: Any = [np.stack(fs) for fs in zip(*found, strict=True)]
    else:
        parts = jax.vmap(lambda one: tuple(_als(jnp, one, rank, rounds)))(x)
    return tuple(f.reshape(*batch, *f.shape[1:]) for f in parts)


def _als(xp: Any, x: Any, rank: int, rounds: int) -> list[Any]:
    if x.ndim == 2:
        left, values, right = decompose(xp, x)
        extra = max(rank - len(values), 0)
        root = values[:rank] ** 0.5
        pair = left[:, :rank] * root[None], right.T[:, :rank] * root[None]
        return [xp.pad(f, ((0, 0), (0, extra))) for f in pair]
    factors = [_start(xp, x, axis, rank) for axis in range(x.ndim)]

    def sweep(factors: Any) -> Any:
        factors = list(factors)
        for axis in range(x.ndim):
            factors[axis] = _solve(xp, x, factors, axis)
            if axis < x.ndim - 1:  # the last factor keeps the sizes
                norms = xp.linalg.norm(factors[axis], axis=0)
                factors[axis] = factors[axis] / xp.where(norms > 0, norms, 1)[None]
        return tuple(factors)

    if xp is np:
        for _ in range(rounds):
            factors = sweep(factors)
    else:
        factors = jax.lax.fori_loop(0, rounds, lambda _, fs: sweep(fs), tuple(factors))
    norms = xp.linalg.norm(factors[-1], axis=0)
    share = xp.where(norms > 0, norms, 1) ** (1 / x.ndim)
    return [*(f * share[None] for f in factors[:-1]), factors[-1] / share[None] ** (x.ndim - 1)]


def _start(xp: Any, x: Any, axis: int, rank: int) -> Any:
    unfolded = xp.moveaxis(x, axis, 0).reshape(x.shape[axis], -1)
    vectors = leading(xp, unfolded @ unfolded.T, rank)
    # Beyond the number of indices there are no more vectors: some that are no combination of few others.
    i, j = np.indices((x.shape[axis], max(rank - x.shape[axis], 0)))
    return xp.concatenate([vectors, xp.asarray(np.cos((i + 1) * (j + 2.5)), np.float32)], axis=1)


def _solve(xp: Any, x: Any, factors: list[Any], axis: int) -> Any:
    """The best factor of an axis for the others."""
    n, rank = x.ndim, factors[0].shape[1]
    others: list[Any] = []
    system = xp.ones((rank, rank), np.float32)
    for k, f in enumerate(factors):
        if k != axis:
            others += [f, [k, n]]
            system = system * (f.T @ f)
    how = {} if xp is np else {"precision": jax.lax.Precision.HIGHEST}
    wanted = xp.einsum(x, list(range(n)), *others, [axis, n], optimize="greedy", **how)
    damped = system + (1e-6 * xp.trace(system) / rank + 1e-30) * xp.eye(rank, dtype=np.float32)
    return xp.linalg.solve(damped, wanted.T).T
