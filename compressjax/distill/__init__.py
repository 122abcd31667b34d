"""Losses that carry what a large model knows to a small one."""

from compressjax.distill._hinton import hinton, soft_targets

__all__ = ["hinton", "soft_targets"]
