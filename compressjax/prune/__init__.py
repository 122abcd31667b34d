"""Pruning: which weights are zero."""

from compressjax.prune import distributions, patterns, schedules
from compressjax.prune.once._condition import Condition, hessian_condition
from compressjax.prune.once._layerwise import HessianInfo, LayerwiseState
from compressjax.prune.once._magnitude import magnitude
from compressjax.prune.once._nonzero import nonzero
from compressjax.prune.once._one_shot import one_shot
from compressjax.prune.once._sparsegpt import sparsegpt
from compressjax.prune.once._wanda import wanda
from compressjax.prune.once._woodfisher import woodfisher
from compressjax.prune.training._acdc import acdc
from compressjax.prune.training._gradual import gradual
from compressjax.prune.training._l0 import l0
from compressjax.prune.training._lottery import Ticket, lottery_ticket
from compressjax.prune.training._movement import movement, soft_movement
from compressjax.prune.training._proximal import proximal_group, proximal_l1, proximal_nuclear
from compressjax.prune.training._rigl import rigl
from compressjax.prune.training._set import set_
from compressjax.prune.training._soft_threshold import soft_threshold
from compressjax.prune.training._static import static
from compressjax.prune.training._ste import sr_ste, ste
from compressjax.prune.training._topkast import topkast
from compressjax.prune.training._variational import variational

__all__ = [
    "Condition", "HessianInfo", "LayerwiseState", "Ticket", "acdc", "distributions", "gradual", "hessian_condition",
    "l0", "lottery_ticket", "magnitude", "movement", "nonzero", "one_shot", "patterns", "proximal_group", "proximal_l1",
    "proximal_nuclear", "rigl", "schedules", "set_", "soft_movement", "soft_threshold", "sparsegpt", "sr_ste", "static",
    "ste", "topkast", "variational", "wanda", "woodfisher",
]  # fmt: skip
