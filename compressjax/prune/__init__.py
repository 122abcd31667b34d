"""Pruning: which weights are zero."""

from compressjax.prune._acdc import acdc
from compressjax.prune._by_sensitivity import by_sensitivity
from compressjax.prune._condition import Condition, hessian_condition
from compressjax.prune._densities import densities
from compressjax.prune._gradual import GradualState, gradual
from compressjax.prune._l0 import L0State, l0
from compressjax.prune._layerwise import HessianInfo, LayerwiseState
from compressjax.prune._lottery import Ticket, lottery_ticket
from compressjax.prune._magnitude import magnitude
from compressjax.prune._masks import masks_of, pattern_mask
from compressjax.prune._movement import MovementState, movement, soft_movement
from compressjax.prune._nonzero import NonzeroState, nonzero
from compressjax.prune._one_shot import OneShotState, one_shot
from compressjax.prune._patterns import Pattern, as_pattern, balanced, block, layer, nm, slices, unstructured
from compressjax.prune._proximal import ProximalState, proximal_group, proximal_l1, proximal_nuclear
from compressjax.prune._rigl import RiglState, rigl
from compressjax.prune._schedule import polynomial_schedule
from compressjax.prune._schedules import Schedule, at_once, cubic, exponential, iterative, linear, periodic, polynomial
from compressjax.prune._set import SetState, set_
from compressjax.prune._soft_threshold import SoftThresholdState, soft_threshold
from compressjax.prune._sparsegpt import sparsegpt
from compressjax.prune._static import StaticState, static
from compressjax.prune._ste import SteState, sr_ste, ste
from compressjax.prune._topkast import TopkastState, topkast
from compressjax.prune._variational import VariationalState, variational
from compressjax.prune._wanda import wanda
from compressjax.prune._woodfisher import woodfisher

__all__ = [
    "Condition",
    "GradualState",
    "HessianInfo",
    "L0State",
    "LayerwiseState",
    "MovementState",
    "NonzeroState",
    "OneShotState",
    "Pattern",
    "ProximalState",
    "RiglState",
    "Schedule",
    "SetState",
    "SoftThresholdState",
    "StaticState",
    "SteState",
    "Ticket",
    "TopkastState",
    "VariationalState",
    "acdc",
    "as_pattern",
    "at_once",
    "balanced",
    "block",
    "by_sensitivity",
    "cubic",
    "densities",
    "exponential",
    "gradual",
    "hessian_condition",
    "iterative",
    "l0",
    "layer",
    "linear",
    "lottery_ticket",
    "magnitude",
    "masks_of",
    "movement",
    "nm",
    "nonzero",
    "one_shot",
    "pattern_mask",
    "periodic",
    "polynomial",
    "polynomial_schedule",
    "proximal_group",
    "proximal_l1",
    "proximal_nuclear",
    "rigl",
    "set_",
    "slices",
    "soft_movement",
    "soft_threshold",
    "sparsegpt",
    "sr_ste",
    "static",
    "ste",
    "topkast",
    "unstructured",
    "variational",
    "wanda",
    "woodfisher",
]
