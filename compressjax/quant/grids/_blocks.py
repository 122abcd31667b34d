"""Blocks of a leaf: which entries share a scale."""

from compressjax.core._layout import layout_of
from compressjax.core._unfit import UnfitError
from compressjax.quant.grids._grid import Grid

# Groups below this cost half a byte per weight for their scale or more.
_SMALL = 8


def own_axes(path: str, shape: tuple[int, ...], grid: Grid) -> tuple[set[int], int | None]:
    """Axes whose entries have separate scales, and the axis along which groups run."""
    if grid.axis is None:
        axes = layout_of(path, shape)
        return {*axes.batch, *axes.outputs}, axes.along
    if any(not -len(shape) <= a < len(shape) for a in grid.axis):
        raise UnfitError("grid", {path: f"shape {shape} has no axis {grid.axis}; set axis=, or granularity='tensor'"})
    own = {a % len(shape) for a in grid.axis}
    return own, max((a for a in range(len(shape)) if a not in own), default=None)


def block_shape(path: str, shape: tuple[int, ...], grid: Grid) -> tuple[int, ...]:
    """Shape of the scales of a leaf: one entry per block, with the number of axes of the leaf."""
    if grid.granularity == "tensor":
        return (1,) * len(shape)
    own, along = own_axes(path, shape, grid)
    blocks = [length if axis in own else 1 for axis, length in enumerate(shape)]
    if along is None:
        reason = f"shape {shape} would get a scale for every entry along {sorted(own)}; use granularity='tensor'"
        raise UnfitError("grid", {path: reason})
    if not isinstance(grid.granularity, str):
        sizes = grid.granularity if isinstance(grid.granularity, tuple) else (grid.granularity,)
        places = ((along, "inputs"), (max(own, default=along), "outputs"))
        for (axis, what), size in zip(places, sizes, strict=False):
            blocks[axis] = shape[axis] // _group(path, shape[axis], size, f"{what} of axis {axis}", grid.fallback)
    return tuple(blocks)


def _group(path: str, length: int, size: int, what: str, fallback: str) -> int:
    """The size of groups along an axis that `size` may not divide."""
    if length % size == 0:
        return size
    divisor = next(d for d in range(min(size, length), 0, -1) if length % d == 0)
    if fallback == "divisor" and divisor >= _SMALL:
        return divisor
    if fallback in ("divisor", "channel"):
        return length
    reason = (
        f"group size {size} does not divide the {length} {what}; use fallback='divisor' (groups of "
        f"{divisor if divisor >= _SMALL else length}) or fallback='channel'"
    )
    if fallback == "raise":
        raise ValueError(f"{path!r}: {reason}, or 'skip'")
    raise UnfitError("grid", {path: reason})
