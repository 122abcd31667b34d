"""Distillation losses."""

from compressjax.distill._soft_target_loss import soft_target_loss, soft_targets

__all__ = ["soft_target_loss", "soft_targets"]
