"""Weight sharing: weights from a small codebook, or tied by a pattern or across layers."""

from compressjax.share._code_bits import code_bits
from compressjax.share._dkm import DkmState, dkm
from compressjax.share._hashed import circulant, hashed, toeplitz
from compressjax.share._kmeans import KmeansState, kmeans
from compressjax.share._mixture import Mixture, from_mixture, mixture, mixture_penalty
from compressjax.share._pq import pq
from compressjax.share._tied import TyingLoss, tied, tying_losses

__all__ = [
    "DkmState", "KmeansState", "Mixture", "TyingLoss", "circulant", "code_bits", "dkm", "from_mixture", "hashed",
    "kmeans", "mixture", "mixture_penalty", "pq", "tied", "toeplitz", "tying_losses",
]  # fmt: skip
