"""PowerSGD: messages of low rank, by one step of power iteration."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from compressjax.core._settings import as_int
from compressjax.gradients._compressor import Compressor, Draw
from compressjax.gradients._link import Link
from compressjax.gradients._stages import by_steps, run_stage


def power(rank: int | Mapping[int, int] = 2, *, warm: bool = True) -> Compressor:
    """Returns the compressor of PowerSGD: two thin matrices in the place of a gradient.

    .. math:: P = \\operatorname{orth}\\Big(\\frac1n \\sum_w M_w Q\\Big), \\quad
        Q \\leftarrow \\frac1n \\sum_w M_w^T P, \\quad u = P Q^T

    The next step starts from `Q`. Kernels are matrices of all but the last axis by the last. A leaf that is not shorter
    at this rank is averaged as it is.

    Args:
        rank: At least 1; or `{first step: rank}`, such as `{0: 1, 1000: 2}`: every stage sends what its rank needs.
        warm: Starts from the last `Q`, and not from random numbers.

    Returns:
        A compressor with error feedback: all-reduces of `4r(m + n)` bytes for a matrix of m by n.

    Raises:
        ValueError: If a rank is below 1, or the schedule has none for step 0.

    Example:
        >>> power(rank={0: 1, 1000: 2}).feedback
        'error'

    Source: Vogels et al., arXiv:1905.13727 (vogels2019).
    """
    ranks = by_steps("power", "rank", rank, _rank)

    def init(shape: tuple[int, ...], key: jax.Array) -> Any:
        return jax.random.normal(key, (shape[-1] if shape else 1, max(ranks.values())))

    def exchange(x: jax.Array, state: Any, draw: Draw, link: Link) -> tuple[jax.Array, jax.Array, Any]:
        matrix = x.astype(jnp.float32).reshape(-1, x.shape[-1] if x.ndim else 1)
        start = state if warm else jax.random.normal(draw.key, state.shape)
        stages = {step: _of_rank(r, link) for step, r in ranks.items()}
        own, mean, after = run_stage(draw.step, stages, matrix, start)
        return own.reshape(x.shape), mean.reshape(x.shape), after

    return Compressor("power", init, exchange, "error")


def _of_rank(rank: int, link: Link) -> Callable[..., Any]:
    def run(matrix: jax.Array, start: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        if rank * sum(matrix.shape) >= matrix.size:
            return matrix, link.mean(matrix), start
        left = jnp.linalg.qr(link.mean(matrix @ start[:, :rank]))[0]
        right = matrix.T @ left
        mean = link.mean(right)
        return left @ right.T, left @ mean.T, start.at[:, :rank].set(mean)

    return run


def _rank(given: Any) -> int:
    rank = as_int("power", "rank", given)
    if rank < 1:
        raise ValueError(f"power: rank={rank} must be at least 1")
    return rank
