"""GPTQ in NumPy, for integer grids of leaves that NumPy can read: XLA compiles for seconds at every shape."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from compressjax.core._layout import Layout
from compressjax.numerics._damped_host import damped_root_on_host
from compressjax.quant._compensate import Rule, block_size
from compressjax.quant._grid import Grid
from compressjax.quant.grids._scales import SMALLEST, largest_code


class HostScales(NamedTuple):
    """Scale and zero point, NumPy arrays of one shape; no zero point on a symmetric grid."""

    scale: np.ndarray
    zero_point: np.ndarray | None

    def each(self, f: Callable[[np.ndarray], np.ndarray]) -> "HostScales":
        """A function of both arrays."""
        return HostScales(f(self.scale), None if self.zero_point is None else f(self.zero_point))


def takes(grid: Grid, group: int) -> bool:
    """Whether the grid is one of integers whose scales NumPy can fit, or knows."""
    return grid.form.kind == "int" and grid.scale == "float32" and (not group or grid.clip == "absmax")


def compensate_on_host(
    kernel: np.ndarray, hessian: np.ndarray, scales: HostScales, rule: Rule
) -> tuple[np.ndarray, HostScales, float, bool]:
    """Rounds `[in, out]` as `compensate` does."""
    order = np.argsort(-np.diagonal(hessian), kind="stable") if rule.by_activation else np.arange(len(kernel))
    back = np.argsort(order)
    kernel, scales = kernel[order], scales.each(lambda x: x[order])
    # Matrices of inputs by inputs are the largest of all, so none is copied without need.
    turned = hessian[np.ix_(order, order)] if rule.by_activation else hessian
    root, damping, failed = damped_root_on_host(turned, rule.damping)
    del turned
    root, kept = root.astype(kernel.dtype, copy=False), kernel != 0
    scales = scales._replace(scale=np.where(scales.scale > 0, scales.scale, np.float32(1)))
    size = block_size(rule, len(kernel))
    for start in range(0, len(kernel), size):
        here = slice(start, start + size)
        panel, rows, used = kernel[here], root[here, start:], kept[here]
        own = HostScales(scales.scale[here], None if scales.zero_point is None else scales.zero_point[here])
        errors = np.zeros_like(panel)
        for i in range(len(panel)):
            if rule.group and i % rule.group == 0:
                part = slice(i, i + rule.group)
                found = _fit(np.where(used[part], panel[part], 0), rule.grid)
                own.scale[part] = found.scale
                if own.zero_point is not None:
                    own.zero_point[part] = found.zero_point
            at = HostScales(own.scale[i], None if own.zero_point is None else own.zero_point[i])
            rounded = np.where(used[i], _nearest(panel[i], at, rule.grid), 0)
            errors[i] = (panel[i] - rounded) / rows[i, i]
            panel[i + 1 :] -= np.outer(rows[i, i + 1 : len(panel)], errors[i])
            panel[i] = rounded
        kernel[start + size :] -= rows[:, size:].T @ errors
    return kernel[back], scales.each(lambda x: x[back]), damping, failed


def solve_on_host(
    x: np.ndarray, gram: np.ndarray, known: HostScales, shaped: Layout, blocks: tuple[int, ...], rule: Rule
) -> tuple[np.ndarray, HostScales, np.ndarray, np.ndarray]:
    """Rounded weights of the leaf's shape, scales by block, damping and failure of every layer."""
    places = np.arange(gram.shape[-1]).reshape([x.shape[a] for a in shaped.inputs])
    if rule.group:  # a group of a convolution holds channels of one position
        shaped = shaped._replace(inputs=shaped.inputs[-1:] + shaped.inputs[:-1])
        places = np.moveaxis(places, -1, 0)
    wide = x if x.dtype == np.float64 else x.astype(np.float32)
    turned = [x.shape[a] for a in shaped.order]
    grams = gram.reshape(-1, *gram.shape[-2:])
    if np.any(np.diff(places.ravel()) != 1):
        grams = grams[:, places.ravel()][:, :, places.ravel()]

    def matrices(a: np.ndarray) -> np.ndarray:
        return np.transpose(_spread(a, x.shape), shaped.order).reshape(len(grams), places.size, -1).copy()

    def leaf(parts: list[np.ndarray]) -> np.ndarray:
        return np.transpose(np.stack(parts).reshape(turned), shaped.inverse)

    layers, scales = matrices(wide), known.each(matrices)
    done = []
    for i, layer in enumerate(layers):
        own = HostScales(scales.scale[i], None if scales.zero_point is None else scales.zero_point[i])
        done.append(compensate_on_host(layer, grams[i], own, rule))
    firsts = tuple(slice(None, None, n // b) for n, b in zip(x.shape, blocks, strict=True))
    zeros = [s.zero_point for _, s, _, _ in done if s.zero_point is not None]
    found = HostScales(leaf([s.scale for _, s, _, _ in done])[firsts], leaf(zeros)[firsts] if zeros else None)
    weights = leaf([w for w, _, _, _ in done]).astype(np.float32)
    return weights, found, np.array([d for _, _, d, _ in done]), np.array([f for _, _, _, f in done])


def _spread(blocks: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    for axis, (count, length) in enumerate(zip(blocks.shape, shape, strict=True)):
        if count != length:
            blocks = np.repeat(blocks, length // count, axis)
    return blocks


def _fit(part: np.ndarray, grid: Grid) -> HostScales:
    """Scale and zero point of a group, `[1, out]`, as `fit` finds them."""
    steps = largest_code(grid)
    if grid.symmetric:
        low, width = None, np.max(np.abs(part), axis=0, keepdims=True)
    else:
        low = np.minimum(np.min(part, axis=0, keepdims=True), 0)
        width = np.maximum(np.max(part, axis=0, keepdims=True), 0) - low
    scale = np.where(width > SMALLEST, _shorten(width.astype(np.float32) * np.float32(1.0 / steps)), np.float32(1))
    return HostScales(scale, None if low is None else np.clip(np.round(-low / scale), 0, steps).astype(np.int32))


def _shorten(scale: np.ndarray) -> np.ndarray:
    """Rounds float32 to 16 significant bits, ties to even."""
    bits = np.ascontiguousarray(scale).view(np.uint32)
    return ((bits + np.uint32(0x7F) + ((bits >> np.uint32(8)) & np.uint32(1))) & np.uint32(0xFFFFFF00)).view(np.float32)


def _nearest(x: np.ndarray, scales: HostScales, grid: Grid) -> np.ndarray:
    """The nearest points of the grid, in float32."""
    steps, exact = largest_code(grid), np.round(x.astype(np.float32) / scales.scale)
    if scales.zero_point is None:
        return np.clip(exact, -steps, steps) * scales.scale
    zero = scales.zero_point.astype(np.float32)
    return (np.clip(exact + zero, 0, steps) - zero) * scales.scale
