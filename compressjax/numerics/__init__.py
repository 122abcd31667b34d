"""Numerics on plain arrays: top-k masks, inverse roots, straight-through gradients, explicit meshes."""

from compressjax.numerics._explicit import with_auto_axes

__all__ = ["with_auto_axes"]
