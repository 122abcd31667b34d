"""Flax wrappers: the forward pass sees a compression, its state lives in variables of its own."""

from compressjax.modules._compression_of import compression_of, plain
from compressjax.modules._layers import Conv, Dense, DenseGeneral, Embed
from compressjax.modules._layers_nnx import (
    NNXConv,
    NNXEmbed,
    NNXLinear,
    NNXLinearGeneral,
    nnx_compression_of,
    nnx_encode,
    nnx_layers,
    nnx_set_compression,
)
from compressjax.modules._linen import Compressed
from compressjax.modules._nnx import CompressionState, NNXCompressed, functional
from compressjax.modules._resize import resize
from compressjax.modules._resize_nnx import resize_nnx
from compressjax.modules._variables import COLLECTION, attach, encode, state_of, with_state

__all__ = [
    "COLLECTION",
    "Compressed",
    "CompressionState",
    "Conv",
    "Dense",
    "DenseGeneral",
    "Embed",
    "NNXCompressed",
    "NNXConv",
    "NNXEmbed",
    "NNXLinear",
    "NNXLinearGeneral",
    "attach",
    "compression_of",
    "encode",
    "functional",
    "nnx_compression_of",
    "nnx_encode",
    "nnx_layers",
    "nnx_set_compression",
    "plain",
    "resize",
    "resize_nnx",
    "state_of",
    "with_state",
]
