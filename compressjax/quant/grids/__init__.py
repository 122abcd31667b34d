"""Grids: their description, and what every method of quantization does with it."""

from compressjax.quant.grids._grid import Grid, grid

__all__ = ["Grid", "grid"]
