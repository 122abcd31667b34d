"""Low rank: products of factors."""

from compressjax.lowrank._svd import svd

__all__ = ["svd"]
