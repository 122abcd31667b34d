"""The nearest points of every grid in NumPy, and the scales of groups whose range is their largest magnitude."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from compressjax.quant._grid import Grid
from compressjax.quant.grids._scales import SMALLEST, largest_code
from compressjax.tensors.quantized._tables import TABLES


class HostScales(NamedTuple):
    """Scale and zero point, NumPy arrays of one shape; no zero point on a symmetric grid."""

    scale: np.ndarray
    zero_point: np.ndarray | None

    def each(self, f: Callable[[np.ndarray], np.ndarray]) -> "HostScales":
        """A function of both arrays."""
        return HostScales(f(self.scale), None if self.zero_point is None else f(self.zero_point))

    def at(self, place: int | slice) -> "HostScales":
        """A part of both arrays."""
        return self.each(lambda x: x[place])


def takes(grid: Grid, group: int) -> bool:
    """Whether NumPy can fit the scales of groups, or they are known before."""
    return not group or (grid.clip == "absmax" and grid.scale in ("float32", "e8m0") and not grid.form.averages)


def fit_on_host(part: np.ndarray, grid: Grid) -> HostScales:
    """Scale and zero point of a group, `[1, out]`, as `fit` finds them."""
    steps = largest_code(grid)
    if grid.symmetric:
        low, width = None, np.max(np.abs(part), axis=0, keepdims=True)
    else:
        low = np.minimum(np.min(part, axis=0, keepdims=True), 0)
        width = np.maximum(np.max(part, axis=0, keepdims=True), 0) - low
    width = width.astype(np.float32)
    if grid.scale == "e8m0":
        full = _power(np.frexp(width)[1] - 1 - grid.form.emax - (not grid.symmetric))
    else:
        full = _shorten(width * np.float32(1.0 / steps))
    scale = np.where(width > SMALLEST, full, np.float32(1))
    return HostScales(scale, None if low is None else np.clip(np.round(-low / scale), 0, steps).astype(np.int32))


def nearest_on_host(x: np.ndarray, scales: HostScales, grid: Grid) -> np.ndarray:
    """The nearest points of the grid, in float32."""
    form, exact = grid.form, x.astype(np.float32) / scales.scale
    if form.kind == "int":
        steps = largest_code(grid)
        if scales.zero_point is None:
            return np.clip(np.round(exact), -steps, steps) * scales.scale
        zero = scales.zero_point.astype(np.float32)
        return (np.clip(np.round(exact) + zero, 0, steps) - zero) * scales.scale
    if form.kind == "ternary":
        return np.where(np.abs(exact) > 0.5, np.sign(exact), np.float32(0)) * scales.scale
    if form.kind == "table":
        levels = TABLES[form.table or ""]
        return levels[np.searchsorted((levels[1:] + levels[:-1]) / np.float32(2), exact)] * scales.scale
    exact = np.clip(exact, -form.largest, form.largest)
    step = _power(np.maximum(np.frexp(exact)[1] - 1, form.emin) - form.mantissa)
    return np.round(exact / step) * step * scales.scale


def _power(exponents: np.ndarray) -> np.ndarray:
    """`2^e` in float32, for exponents from -126 to 127; others are clipped."""
    return np.ldexp(np.float32(1), np.clip(exponents, -126, 127))


def _shorten(scale: np.ndarray) -> np.ndarray:
    """Rounds float32 to 16 significant bits, ties to even."""
    bits = np.ascontiguousarray(scale).view(np.uint32)
    return ((bits + np.uint32(0x7F) + ((bits >> np.uint32(8)) & np.uint32(1))) & np.uint32(0xFFFFFF00)).view(np.float32)
