"""Weight sharing: weights from a small codebook."""

from compressjax.share._kmeans import KmeansState, kmeans
from compressjax.share._lloyd import lloyd
from compressjax.share._optimal import optimal

__all__ = ["KmeansState", "kmeans", "lloyd", "optimal"]
