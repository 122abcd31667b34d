"""Integer grids: the node, its layout changes, and its integer products and convolutions."""

from compressjax.tensors.quantized._quantized import Quantized

__all__ = ["Quantized"]
