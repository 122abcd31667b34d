"""Unstructured pruning: which weights are zero."""

from compressjax.prune._densities import densities
from compressjax.prune._gradual import GradualState, gradual
from compressjax.prune._magnitude import magnitude
from compressjax.prune._nonzero import NonzeroState, nonzero
from compressjax.prune._schedule import polynomial_schedule

__all__ = [
    "GradualState",
    "NonzeroState",
    "densities",
    "gradual",
    "magnitude",
    "nonzero",
    "polynomial_schedule",
]
