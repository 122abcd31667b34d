"""Flax wrappers: the forward pass sees a compression, its state lives in variables of its own."""

from compressjax.modules._linen import Compressed
from compressjax.modules._nnx import CompressionState, NNXCompressed, functional
from compressjax.modules._resize import resize
from compressjax.modules._resize_nnx import resize_nnx
from compressjax.modules._variables import COLLECTION, attach, encode, state_of, with_state

__all__ = [
    "COLLECTION",
    "Compressed",
    "CompressionState",
    "NNXCompressed",
    "attach",
    "encode",
    "functional",
    "resize",
    "resize_nnx",
    "state_of",
    "with_state",
]
