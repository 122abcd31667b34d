"""Choice of the rank, and whether it saves parameters."""

import math

import jax
import numpy as np


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


def unpaid(setting: str, shape: tuple[int, ...], rank: int, inputs: int, batch: int) -> str:
    """Why factors of the rank that a setting gives do not pay, in words; empty if they do."""
    if pays(shape, rank, inputs=inputs, batch=batch):
        return ""
    _, rows, columns = split(shape, inputs, batch)
    return (
        f"svd({setting}) would not make it smaller: factors of rank {rank} have {rank * (rows + columns)} entries, the "
        f"{rows} x {columns} matrix has {rows * columns}; lower {setting.split('=')[0]}=, or set always=True"
    )


def affordable(shape: tuple[int, ...], budget: float, *, inputs: int | None = None, batch: int = 0) -> int:
    """Returns the largest rank with at most a fraction `budget` of the dense parameters, at least 1.

    .. math:: r = \\lfloor budget \\cdot \\frac{in \\cdot out}{in + out} \\rfloor
    """
    _, rows, columns = split(shape, inputs, batch)
    return max(1, min(rows, columns, math.floor(budget * rows * columns / (rows + columns) + 1e-9)))


def rank_by_energy(singular: jax.Array, energy: float, path: str) -> int:
    """The smallest rank that keeps a fraction of the squared Frobenius norm in every batch entry.

    .. math:: \\sum_{i \\le r} \\sigma_i^2 \\ge energy \\sum_i \\sigma_i^2
    """
    if isinstance(singular, jax.core.Tracer):
        raise ValueError(
            f"svd: energy={energy} chooses the rank of {path!r} from its values, so encode cannot be traced (jit, "
            "eval_shape, chain); encode outside of jit and use sequence for what follows, or give rank= or budget="
        ) from jax.errors.ConcretizationTypeError(singular)
    if not singular.size:
        return 0  # a kernel without entries
    power = np.cumsum(np.square(np.asarray(singular, np.float64)), axis=-1).reshape(-1, singular.shape[-1])
    return max(int(np.searchsorted(row, energy * row[-1])) + 1 for row in power)
