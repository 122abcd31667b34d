"""Distributions: how zeros are distributed among the leaves."""

from compressjax.prune.distributions._by_sensitivity import by_sensitivity
from compressjax.prune.distributions._densities import densities

__all__ = ["by_sensitivity", "densities"]
