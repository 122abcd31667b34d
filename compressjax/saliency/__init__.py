"""Saliencies: scores of weights for pruning and structured shrinking."""

from compressjax.saliency._activation import activation
from compressjax.saliency._batch_norm import batch_norm
from compressjax.saliency._contract import Saliency, on_inputs, on_leaves
from compressjax.saliency._fisher import fisher
from compressjax.saliency._fpgm import fpgm
from compressjax.saliency._gradient import gradient
from compressjax.saliency._gradients import Loss, example_gradients, gradients, stacked_gradients
from compressjax.saliency._grasp import grasp
from compressjax.saliency._group_taylor import group_taylor
from compressjax.saliency._lamp import lamp
from compressjax.saliency._layout import Layout, layout
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
from compressjax.saliency._woodbury import constrained_step, woodbury_inverse

__all__ = [
    "Layout", "Loss", "Saliency", "activation", "batch_norm", "constrained_step", "example_gradients", "fisher", "fpgm",
    "gradient", "gradients", "grasp", "group_taylor", "lamp", "layout", "magnitude", "movement", "obd", "obs",
    "on_inputs", "on_leaves", "random", "snip", "stacked_gradients", "synflow", "taylor", "unit_scores", "wanda",
    "woodbury_inverse",
]  # fmt: skip
