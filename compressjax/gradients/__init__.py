"""Gradients that workers exchange in few bytes, as optax transformations with error feedback."""

from compressjax.gradients._compressor import Compressor
from compressjax.gradients._dgc import DeepState, deep
from compressjax.gradients._exchange import ExchangeState, PerWorker, exchange, specs
from compressjax.gradients._one_bit_adam import OneBitState, one_bit_adam
from compressjax.gradients._outer import OuterState, diloco, local_sgd
from compressjax.gradients._power import power
from compressjax.gradients._rounded import rounded
from compressjax.gradients._signs import majority_sign, scaled_sign
from compressjax.gradients._sketch import count_sketch
from compressjax.gradients._sparse import random_k, threshold, top_k
from compressjax.gradients._stochastic import natural, qsgd

__all__ = [
    "Compressor", "DeepState", "ExchangeState", "OneBitState", "OuterState", "PerWorker", "count_sketch", "deep",
    "diloco", "exchange", "local_sgd", "majority_sign", "natural", "one_bit_adam", "power", "qsgd", "random_k",
    "rounded", "scaled_sign", "specs", "threshold", "top_k",
]  # fmt: skip
