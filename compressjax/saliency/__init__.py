"""Saliencies: scores of weights for pruning and structured shrinking."""

from compressjax.saliency._activation import activation
from compressjax.saliency._batch_norm import batch_norm
from compressjax.saliency._bit_cost import bit_cost
from compressjax.saliency._contract import Saliency, on_inputs, on_leaves
from compressjax.saliency._fisher import fisher
from compressjax.saliency._fpgm import fpgm
from compressjax.saliency._gradient import gradient
from compressjax.saliency._grasp import grasp
from compressjax.saliency._group_taylor import group_taylor
from compressjax.saliency._lamp import lamp
from compressjax.saliency._magnitude import magnitude
from compressjax.saliency._movement import movement
from compressjax.saliency._obd import obd
from compressjax.saliency._obs import obs
from compressjax.saliency._random import random
from compressjax.saliency._snip import snip
from compressjax.saliency._synflow import synflow
from compressjax.saliency._taylor import taylor
from compressjax.saliency._units import unit_scores
from compressjax.saliency._wanda import wanda

__all__ = [
    "Saliency", "activation", "batch_norm", "bit_cost", "fisher", "fpgm", "gradient", "grasp", "group_taylor", "lamp",
    "magnitude", "movement", "obd", "obs", "on_inputs", "on_leaves", "random", "snip", "synflow", "taylor",
    "unit_scores", "wanda",
]  # fmt: skip
