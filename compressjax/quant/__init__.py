"""Quantization: weights on grids."""

from compressjax.quant._awq import awq
from compressjax.quant._fake_quant import FakeQuantState, fake_quant
from compressjax.quant._fold_scales import fold_scales
from compressjax.quant._gptq import gptq
from compressjax.quant._rtn import rtn
from compressjax.quant._smooth_quant import smooth_quant
from compressjax.quant.grids import Grid, grid

__all__ = ["FakeQuantState", "Grid", "awq", "fake_quant", "fold_scales", "gptq", "grid", "rtn", "smooth_quant"]
