"""Decides if integer products on a grid are faster than dense ones, and in which layout."""

import math

import jax.numpy as jnp

from compressjax.tensors.quantized._conv import FEWEST_TERMS
from compressjax.tensors.quantized._grid import Grid, storage_order

# Smaller matrices and grids with shorter groups run faster in floating point (two-core CPU, JAX 0.10 and 0.12: for
# 256 x 256, both take the same time).
FEWEST_ENTRIES = 1 << 16
SHORTEST_GROUP = 64


def pays(grid: Grid) -> bool:
    """Whether integer products on a grid are faster than dense ones on prepared weights."""
    shape = grid.shape
    groups = [d // s for d, s in zip(shape[:-1], grid.scale.shape[:-1], strict=True) if s not in (1, d)]
    if groups and min(groups) < SHORTEST_GROUP:
        return False
    if len(shape) != 4:
        return len(shape) <= 3 and math.prod(shape) >= FEWEST_ENTRIES
    # A tensor with four axes is a convolution kernel, with the outputs first or last.
    return grid.zero_point is None and math.prod(shape) >= FEWEST_TERMS * max(shape[0], shape[-1])


def fast_layout(grid: Grid) -> Grid:
    """Moves the input axis of a matrix last, so that integer products read both operands contiguously."""
    wanted = (1, 0) if grid.ndim == 2 else ()
    if grid.order == wanted:
        return grid
    codes = jnp.transpose(grid.dense_codes(), storage_order(grid.ndim, wanted))
    return grid.replace(codes=codes, order=wanted)
