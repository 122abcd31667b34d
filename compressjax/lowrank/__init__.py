"""Low rank and tensors: products of factors."""

from compressjax.lowrank._adapters import adapters, dora, lora, merge
from compressjax.lowrank._aware import asvd, svd_llm
from compressjax.lowrank._block_diagonal import block_diagonal
from compressjax.lowrank._cp import cp
from compressjax.lowrank._evbmf import Evbmf, evbmf
from compressjax.lowrank._fisher_svd import fisher_svd
from compressjax.lowrank._galore import GaloreState, galore
from compressjax.lowrank._kronecker import kronecker
from compressjax.lowrank._nuclear_norm import nuclear_norm
from compressjax.lowrank._plus_sparse import low_rank_plus_sparse
from compressjax.lowrank._rank_options import RankOptions, rank_options
from compressjax.lowrank._svd import svd
from compressjax.lowrank._tensor_train import tensor_train
from compressjax.lowrank._tucker import tucker

__all__ = [
    "Evbmf",
    "GaloreState",
    "RankOptions",
    "adapters",
    "asvd",
    "block_diagonal",
    "cp",
    "dora",
    "evbmf",
    "fisher_svd",
    "galore",
    "kronecker",
    "lora",
    "low_rank_plus_sparse",
    "merge",
    "nuclear_norm",
    "rank_options",
    "svd",
    "svd_llm",
    "tensor_train",
    "tucker",
]
