"""How much every weight matters: scores for pruning and for structured shrinking."""

from compressjax.saliency._contract import Saliency, on_inputs, on_leaves
from compressjax.saliency._gradient import gradient
from compressjax.saliency._grasp import grasp
from compressjax.saliency._magnitude import magnitude
from compressjax.saliency._random import random
from compressjax.saliency._snip import snip
from compressjax.saliency._units import unit_scores

__all__ = [
    "Saliency",
    "gradient",
    "grasp",
    "magnitude",
    "on_inputs",
    "on_leaves",
    "random",
    "snip",
    "unit_scores",
]
