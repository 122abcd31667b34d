"""Quantization: weights on grids."""

from compressjax.quant._fake_quant import FakeQuantState, fake_quant
from compressjax.quant._gptq import gptq
from compressjax.quant._rtn import rtn
from compressjax.quant.grids import Grid, grid

__all__ = ["FakeQuantState", "Grid", "fake_quant", "gptq", "grid", "rtn"]
