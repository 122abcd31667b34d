"""The layout of a leaf for its statistics."""

import math
from typing import Any

from compressjax.core._layout import Layout, layout_of
from compressjax.core._unfit import UnfitError


def layout(path: str, shape: tuple[int, ...], stats: Any) -> Layout:
    """The axes of a leaf that its statistics, with `squares` `[*batch, in]`, belong to.

    `observe` records them. For statistics made by hand, leading axes are batch axes, and the rest follows the layout
    in use, `[in, out]` by default.
    """
    *lead, inputs = stats.squares.shape
    shape, found = tuple(shape), getattr(stats, "layout", None)
    if found is None:
        found = _behind(len(lead), len(shape)) if lead else layout_of(path, shape)
    if sorted(found.order) != list(range(len(shape))) or not found.inputs:
        raise UnfitError(
            "statistics", {path: f"its products use the leaf {shape} in parts, so its statistics have no axes"}
        )
    sizes = tuple(shape[a] for a in found.batch), math.prod(shape[a] for a in found.inputs)
    if sizes != (tuple(lead), inputs):
        sums = f"statistics of {inputs} inputs with leading axes {tuple(lead)}"
        raise UnfitError(
            "statistics", {path: f"{sums} do not match the axes of the leaf {shape}; observe the same network"}
        )
    return found


def _behind(batch: int, axes: int) -> Layout:
    """The convention `[*batch, *in, out]`."""
    return Layout(tuple(range(batch)), tuple(range(batch, axes - 1)), (axes - 1,))
