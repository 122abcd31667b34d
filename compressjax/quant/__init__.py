"""Quantization: weights on grids."""

from compressjax.quant._adaround import adaround
from compressjax.quant._awq import awq
from compressjax.quant._bias_correction import bias_correction
from compressjax.quant._clip_activations import clip_activations
from compressjax.quant._equalize import equalize
from compressjax.quant._fake_quant import FakeQuantState, fake_quant
from compressjax.quant._fold_batch_norm import fold_batch_norm
from compressjax.quant._fold_scales import fold_scales
from compressjax.quant._gptq import gptq
from compressjax.quant._hqq import hqq
from compressjax.quant._kv_cache import KVCache, append, attend, init_cache
from compressjax.quant._low_rank_correction import low_rank_correction
from compressjax.quant._outliers import outliers
from compressjax.quant._rdo import rdo
from compressjax.quant._reconstruct import reconstruct
from compressjax.quant._renew_batch_norm import renew_batch_norm
from compressjax.quant._rotation import hadamard, rotate
from compressjax.quant._rtn import rtn
from compressjax.quant._smooth_quant import smooth_quant
from compressjax.quant.grids import Grid, grid
from compressjax.quant.training._activations import ActivationsState, activations
from compressjax.quant.training._binary_connect import BinaryConnectState, binary_connect
from compressjax.quant.training._bitnet import bitnet
from compressjax.quant.training._dorefa import dorefa
from compressjax.quant.training._learned import LearnedGridState
from compressjax.quant.training._lsq import lsq
from compressjax.quant.training._ttq import ttq

__all__ = [
    "ActivationsState",
    "BinaryConnectState",
    "FakeQuantState",
    "Grid",
    "KVCache",
    "LearnedGridState",
    "activations",
    "adaround",
    "append",
    "attend",
    "awq",
    "bias_correction",
    "binary_connect",
    "bitnet",
    "clip_activations",
    "dorefa",
    "equalize",
    "fake_quant",
    "fold_batch_norm",
    "fold_scales",
    "gptq",
    "grid",
    "hadamard",
    "hqq",
    "init_cache",
    "low_rank_correction",
    "lsq",
    "outliers",
    "rdo",
    "reconstruct",
    "renew_batch_norm",
    "rotate",
    "rtn",
    "smooth_quant",
    "ttq",
]  # fmt: skip
