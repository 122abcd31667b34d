"""Choice of the rank, and whether it saves parameters."""

import math
from typing import Any

import jax
import numpy as np

from compressjax.numerics._noise import middle_of_noise, threshold


def split(shape: tuple[int, ...], inputs: int | None = None, batch: int = 0) -> tuple[int, int, int]:
    """Number of input axes, and the sizes of the matrix of a kernel `[*batch, *in, *out]`."""
    axes = len(shape) - batch
    inputs = axes - 1 if inputs is None else inputs
    if batch < 0 or not 1 <= inputs < axes:
        raise ValueError(f"shape {shape} with batch={batch} and inputs={inputs}: both sides need an axis")
    return inputs, math.prod(shape[batch : batch + inputs]), math.prod(shape[batch + inputs :])


def pays(shape: tuple[int, ...], rank: int, *, inputs: int | None = None, batch: int = 0) -> bool:
    """Whether factors of this rank have fewer entries than the dense kernel.

    .. math:: r\\,(in + out) < in \\cdot out
    """
    _, rows, columns = split(shape, inputs, batch)
    return rank * (rows + columns) < rows * columns


def unpaid(who: str, setting: str, shape: tuple[int, ...], rank: int, inputs: int, batch: int) -> str:
    """Why factors of the rank that a setting gives do not pay, in words; empty if they do."""
    if pays(shape, rank, inputs=inputs, batch=batch):
        return ""
    _, rows, columns = split(shape, inputs, batch)
    return (
        f"{who}({setting}) would not make it smaller: factors of rank {rank} have {rank * (rows + columns)} entries, "
        f"the {rows} x {columns} matrix has {rows * columns}; lower {setting.split('=')[0]}=, or set always=True"
    )


def affordable(shape: tuple[int, ...], budget: float, *, inputs: int | None = None, batch: int = 0) -> int:
    """Returns the largest rank with at most a fraction `budget` of the dense parameters, at least 1.

    .. math:: r = \\lfloor budget \\cdot \\frac{in \\cdot out}{in + out} \\rfloor
    """
    _, rows, columns = split(shape, inputs, batch)
    return max(1, min(rows, columns, math.floor(budget * rows * columns / (rows + columns) + 1e-9)))


def known(who: str, setting: str, path: str, x: Any, what: str = "rank") -> np.ndarray:
    """The values that a setting reads; an error with the remedy under a trace."""
    if isinstance(x, jax.core.Tracer):
        raise ValueError(
            f"{who}: {setting} chooses the {what} of {path!r} from its values, so encode cannot be traced (jit, "
            "eval_shape, chain); encode outside of jit and use sequence for what follows, or give rank= or budget="
        ) from jax.errors.ConcretizationTypeError(x)
    return np.asarray(x, np.float64)


def rank_by_energy(singular: np.ndarray, energy: float) -> int:
    """The smallest rank that keeps a fraction of the squared Frobenius norm in every batch entry.

    .. math:: \\sum_{i \\le r} \\sigma_i^2 \\ge energy \\sum_i \\sigma_i^2
    """
    if not singular.size:
        return 0  # a kernel without entries
    power = np.cumsum(np.square(singular), axis=-1).reshape(-1, singular.shape[-1])
    return max(int(np.searchsorted(row, energy * row[-1])) + 1 for row in power)


def rank_by_threshold(singular: np.ndarray, shape: tuple[int, int]) -> int:
    """How many singular values stand above the best hard threshold, where the noise is that of the median."""
    short, long = sorted(shape)
    beta = short / long
    limit = threshold(beta) * float(np.median(singular)) / math.sqrt(middle_of_noise(beta))
    # A median of rounding errors is that of a matrix of low rank, without noise.
    return int(np.sum(singular > max(limit, 1e-6 * float(singular.max(initial=0.0)))))
