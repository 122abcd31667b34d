"""Decides if integer products on a grid are faster than dense ones, and in which layout."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from compressjax.core._use import Use
from compressjax.numerics._processor import compiles_int8, int8_instructions
from compressjax.tensors.quantized._conv import FEWEST_TERMS
from compressjax.tensors.quantized._dot import SMALLEST_GROUP
from compressjax.tensors.quantized._grid import Grid, storage_order

SHORTEST_GROUP = 64  # grids with shorter groups run faster in floating point


class Limits(NamedTuple):
    """Entries from which integer products are at least as fast as float32 ones.

    Attributes:
        matrix: Of a matrix that multiplies several rows.
        one_row: Of a matrix that multiplies one row, which the product pads to two.
        kernel: Of a convolution kernel.
        rows: Rows that are assumed where they are not known.
    """

    matrix: int
    one_row: int
    kernel: int
    rows: int


# AVX2 was measured on two cores, by products and convolutions alone and in loops: one row of a small matrix takes up to
# twice the time of float32. With VNNI, several rows and kernels were; that for one row is a guess.
FAST = Limits(1 << 16, 1 << 20, 0, 2)  # VNNI or AMX, jaxlib 0.12
NO_INSTRUCTIONS = Limits(1 << 18, 1 << 22, 1 << 16, 1)  # AVX2, jaxlib 0.10 and 0.12
NO_KERNELS = Limits(1 << 18, 1 << 22, 1 << 19, 1)  # VNNI, jaxlib 0.10
ACCELERATOR = Limits(1 << 16, 1 << 16, 0, 2)


def limits() -> Limits:
    """The limits of this machine: of its backend, its processor and its jaxlib."""
    if jax.default_backend() != "cpu":
        return ACCELERATOR
    if not int8_instructions():
        return NO_INSTRUCTIONS
    return FAST if compiles_int8() else NO_KERNELS


def pays(grid: Grid, use: Use) -> bool:
    """Whether integer products on a grid are at least as fast as dense ones on prepared weights, or are asked for."""
    shape, size, least = grid.shape, math.prod(grid.shape), limits()
    groups = [d // s for d, s in zip(shape[:-1], grid.scale.shape[:-1], strict=True) if s not in (1, d)]
    if groups and min(groups) < (SMALLEST_GROUP if use.integers else SHORTEST_GROUP):
        return False
    if len(shape) == 4 and use.depthwise:
        return jax.default_backend() == "cpu"
    if len(shape) == 4:
        # A tensor with four axes is a convolution kernel, with the outputs first or last.
        runs = grid.zero_point is None and size >= FEWEST_TERMS * max(shape[0], shape[-1])
        return runs and (use.integers or size >= least.kernel)
    rows = least.rows if use.rows is None else use.rows
    return len(shape) <= 3 and (use.integers or size >= (least.matrix if rows > 1 else least.one_row))


def fast_layout(grid: Grid) -> Grid:
    """Moves the input axis of a matrix last, so that integer products read both operands contiguously."""
    wanted = (1, 0) if grid.ndim == 2 else ()
    if grid.order == wanted:
        return grid
    codes = jnp.transpose(grid.dense_codes(), storage_order(grid.ndim, wanted))
    return grid.replace(codes=codes, order=wanted)
