"""Weight sharing: weights from a small codebook."""

from compressjax.share._kmeans import KmeansState, kmeans

__all__ = ["KmeansState", "kmeans"]
