"""Low rank: products of factors."""

from compressjax.lowrank._rank import affordable, pays
from compressjax.lowrank._svd import svd

__all__ = ["affordable", "pays", "svd"]
