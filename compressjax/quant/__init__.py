"""Quantization: weights on integer grids."""

from compressjax.quant._fake_quant import FakeQuantState, fake_quant
from compressjax.quant._rtn import rtn

__all__ = ["FakeQuantState", "fake_quant", "rtn"]
