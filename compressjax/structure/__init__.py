"""Smaller models: units, layers and connections that are cut out, not only zeroed."""

from compressjax.structure._allocate import allocate
from compressjax.structure._budget import Budget, Model, flops, latency, parameters, size
from compressjax.structure._saliency import Rule, l1, l2, norm_scale, score_units, taylor
from compressjax.structure._shrink import Costs, Cut, Shrunk, shrink
from compressjax.structure._units import cut, mask

__all__ = [
    "Budget", "Costs", "Cut", "Model", "Rule", "Shrunk", "allocate", "cut", "flops", "l1", "l2", "latency", "mask",
    "norm_scale", "parameters", "score_units", "shrink", "size", "taylor",
]  # fmt: skip
