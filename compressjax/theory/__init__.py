"""Sizes in theory: entropies and published size accountings."""

from compressjax.theory._deep_compression import DeepCompressionSize, deep_compression_size
from compressjax.theory._entropy import binary_entropy, empirical_entropy

__all__ = ["DeepCompressionSize", "binary_entropy", "deep_compression_size", "empirical_entropy"]
