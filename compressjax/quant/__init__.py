"""Quantization: weights on integer grids."""

from compressjax.quant._fake import FakeState, fake
from compressjax.quant._rtn import rtn

__all__ = ["FakeState", "fake", "rtn"]
