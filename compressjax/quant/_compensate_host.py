"""GPTQ in NumPy, for leaves that NumPy can read: XLA compiles for seconds at every shape."""

import numpy as np

from compressjax.core._layout import Layout
from compressjax.numerics._damped_host import damped_root_on_host
from compressjax.quant._compensate import Rule, block_size
from compressjax.quant._nearest_host import HostScales, fit_on_host, nearest_on_host

_AT_ONCE = 512  # later inputs in one product, which is as large as their weights


def compensate_on_host(
    kernel: np.ndarray, hessian: np.ndarray, scales: HostScales, rule: Rule
) -> tuple[np.ndarray, HostScales, float, bool]:
    """Rounds `[in, out]` as `compensate` does.

    No large array is copied without need: scales that are known are broadcast, and the rounded kernel is the one copy.
    """
    order = np.argsort(-np.diagonal(hessian), kind="stable") if rule.by_activation else None
    if order is not None:
        hessian, kernel, scales = hessian[np.ix_(order, order)], kernel[order], scales.each(lambda x: x[order])
    root, damping, failed = damped_root_on_host(hessian, rule.damping)
    del hessian
    root = root.astype(kernel.dtype, copy=False)
    done = kernel.copy()
    scales = scales.each(np.copy) if rule.group else scales
    size = block_size(rule, len(done))
    for start in range(0, len(done), size):
        here = slice(start, start + size)
        _block(done[start:], kernel[here] != 0, root[here, start:], scales.at(here), rule)
    if order is not None:
        back = np.argsort(order)
        done, scales = done[back], scales.each(lambda x: x[back])
    return done, scales, damping, failed


def _block(later: np.ndarray, used: np.ndarray, rows: np.ndarray, own: HostScales, rule: Rule) -> None:
    """Rounds the first inputs, those of `used`, and compensates their errors in all later ones, in place."""
    size = len(used)
    panel, errors = later[:size], np.empty(used.shape, later.dtype)
    for i in range(size):
        if rule.group and i % rule.group == 0:
            part = slice(i, i + rule.group)
            found = fit_on_host(np.where(used[part], panel[part], 0), rule.grid)
            own.scale[part] = found.scale
            if own.zero_point is not None:
                own.zero_point[part] = found.zero_point
        rounded = np.where(used[i], nearest_on_host(panel[i], own.at(i), rule.grid), 0)
        errors[i] = (panel[i] - rounded) / rows[i, i]
        panel[i + 1 :] -= np.outer(rows[i, i + 1 : size], errors[i])
        panel[i] = rounded
    for start in range(size, len(later), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        later[part] -= rows[:, part].T @ errors


def solve_on_host(
    x: np.ndarray, gram: np.ndarray, known: HostScales, shaped: Layout, blocks: tuple[int, ...], rule: Rule
) -> tuple[np.ndarray, HostScales, np.ndarray, np.ndarray]:
    """Rounded weights of the leaf's shape, scales by block, damping and failure of every layer."""
    places = np.arange(gram.shape[-1]).reshape([x.shape[a] for a in shaped.inputs])
    if rule.group:  # a group of a convolution holds channels of one position
        shaped = shaped._replace(inputs=shaped.inputs[-1:] + shaped.inputs[:-1])
        places = np.moveaxis(places, -1, 0)
    wide = x if x.dtype == np.float64 else x.astype(np.float32, copy=False)
    turned = [x.shape[a] for a in shaped.order]
    grams = gram.reshape(-1, *gram.shape[-2:])
    if np.any(np.diff(places.ravel()) != 1):
        grams = grams[:, places.ravel()][:, :, places.ravel()]

    def matrices(a: np.ndarray) -> np.ndarray:
        return np.transpose(a, shaped.order).reshape(len(grams), places.size, -1)

    def leaf(parts: list[np.ndarray]) -> np.ndarray:
        stacked = parts[0][None] if len(parts) == 1 else np.stack(parts)
        return np.transpose(stacked.reshape(turned), shaped.inverse)

    known = known._replace(scale=np.where(known.scale > 0, known.scale, np.float32(1)))
    if rule.group:  # fitted when their first input is reached
        known = known.each(lambda a: a[(slice(1),) * a.ndim])
    layers, scales = matrices(wide), known.each(lambda a: matrices(_spread(a, x.shape)))
    done = []
    for i, layer in enumerate(layers):
        done.append(compensate_on_host(layer, grams[i], scales.at(i), rule))
    firsts = tuple(slice(None, None, n // b) for n, b in zip(x.shape, blocks, strict=True))
    zeros = [s.zero_point for _, s, _, _ in done if s.zero_point is not None]
    found = HostScales(leaf([s.scale for _, s, _, _ in done])[firsts], leaf(zeros)[firsts] if zeros else None)
    weights = leaf([w for w, _, _, _ in done]).astype(np.float32, copy=False)
    return weights, found, np.array([d for _, _, d, _ in done]), np.array([f for _, _, _, f in done])


def _spread(blocks: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The value of every entry; a view, unless there are groups."""
    for axis, (count, length) in enumerate(zip(blocks.shape, shape, strict=True)):
        if count not in (1, length):
            blocks = np.repeat(blocks, length // count, axis)
    return np.broadcast_to(blocks, shape)
