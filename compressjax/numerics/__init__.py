"""Numerics on plain arrays: top-k masks, inverse roots, straight-through gradients, explicit meshes."""

from compressjax.numerics._explicit import explicit, with_auto_axes
from compressjax.numerics._factored import factored
from compressjax.numerics._numerics import straight_through
from compressjax.numerics._second_order import InverseRoot, inverse_root
from compressjax.numerics._top import top_along, top_mask, top_masks

__all__ = [
    "InverseRoot", "explicit", "factored", "inverse_root", "straight_through", "top_along", "top_mask", "top_masks",
    "with_auto_axes",
]  # fmt: skip
