"""Nodes, the compressed forms of a tensor: one node per file or folder."""

from compressjax.tensors._block_diagonal import BlockDiagonal
from compressjax.tensors._codebook import Codebook
from compressjax.tensors._cp import CP
from compressjax.tensors._kronecker import Kronecker
from compressjax.tensors._low_rank import LowRank
from compressjax.tensors._masked import Masked
from compressjax.tensors._patterned import Patterned
from compressjax.tensors._rounded_inputs import RoundedInputs
from compressjax.tensors._scaled import Scaled
from compressjax.tensors._sum import Sum
from compressjax.tensors._tensor_train import TensorTrain
from compressjax.tensors._tucker import Tucker
from compressjax.tensors._vector_codebook import VectorCodebook
from compressjax.tensors._weight_norm import WeightNorm
from compressjax.tensors.quantized import Quantized

__all__ = [
    "CP",
    "BlockDiagonal",
    "Codebook",
    "Kronecker",
    "LowRank",
    "Masked",
    "Patterned",
    "Quantized",
    "RoundedInputs",
    "Scaled",
    "Sum",
    "TensorTrain",
    "Tucker",
    "VectorCodebook",
    "WeightNorm",
]
