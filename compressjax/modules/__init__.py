"""Flax wrappers: modules that run on a compressed view of their parameters, with its state in variables."""

from compressjax.modules._delayed import SCALING, Delayed
from compressjax.modules._delayed_nnx import NNXDelayed, ScalingState
from compressjax.modules._linen import Compressed
from compressjax.modules._mixed import Mixed
from compressjax.modules._mixed_nnx import NNXMixed
from compressjax.modules._nnx import CompressionState, NNXCompressed, functional
from compressjax.modules._resize import resize
from compressjax.modules._resize_nnx import resize_nnx
from compressjax.modules._variables import COLLECTION, attach, encode, state_of, with_state

__all__ = [
    "COLLECTION", "SCALING", "Compressed", "CompressionState", "Delayed", "Mixed", "NNXCompressed", "NNXDelayed",
    "NNXMixed", "ScalingState", "attach", "encode", "functional", "resize", "resize_nnx", "state_of", "with_state",
]  # fmt: skip
