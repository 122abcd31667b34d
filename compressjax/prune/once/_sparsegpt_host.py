"""SparseGPT in NumPy, for leaves that NumPy can read: XLA compiles for seconds at every shape."""

from typing import Any

import numpy as np

from compressjax.core._layout import Layout
from compressjax.numerics._second_order_host import inverse_root_on_host
from compressjax.numerics._top import top_mask


def prune_on_host(
    x: np.ndarray, grams: np.ndarray, shaped: Layout, rule: Any
) -> tuple[np.ndarray, np.ndarray, float, bool]:
    """Mask and shift of a leaf, and how reliable the second moments of its worst layer were."""
    weights = x if x.dtype == np.float64 else x.astype(np.float32)
    turned = np.transpose(weights, shaped.order)
    grams = grams.reshape(-1, *grams.shape[-2:])
    layers = turned.reshape(len(grams), grams.shape[-1], -1)
    pruned, masks, conditions, fallbacks = zip(
        *(_layer(kernel, hessian, rule) for kernel, hessian in zip(layers, grams, strict=True)), strict=True
    )

    def leaf(x: Any) -> np.ndarray:
        return np.transpose(np.stack(x).reshape(turned.shape), shaped.inverse)

    return leaf(masks), (leaf(pruned) - weights).astype(np.float32), max(conditions), any(fallbacks)


def _layer(kernel: np.ndarray, hessian: np.ndarray, rule: Any) -> tuple[np.ndarray, np.ndarray, float, bool]:
    root, condition, fallback = inverse_root_on_host(hessian, rule.damping)
    root = root.astype(kernel.dtype)
    scale = np.where(np.diagonal(hessian) > 0, np.diagonal(root), np.inf).astype(kernel.dtype)
    return *_prune(kernel.copy(), root, scale, rule), condition, fallback


def _prune(kernel: np.ndarray, root: np.ndarray, scale: np.ndarray, rule: Any) -> tuple[np.ndarray, np.ndarray]:
    block = min(rule.block, len(kernel))
    block += -block % rule.group if rule.group else 0
    mask = np.ones(kernel.shape, bool)
    for start in range(0, len(kernel), block):
        here = slice(start, start + block)
        panel, keep, rows, diagonal = kernel[here], mask[here], root[here, start:], scale[here, None]
        if not rule.group:
            scores = np.square(panel / diagonal)
            keep[:] = np.asarray(top_mask(scores, scores.size - round(rule.sparsity * scores.size)))
        errors = np.zeros_like(panel)
        for i in range(len(panel)):
            if rule.group and i % rule.group == 0:
                _keep_group(panel, keep, diagonal, i, rule)
            errors[i] = np.where(keep[i], 0.0, panel[i]) / diagonal[i]
            panel[i:] -= np.outer(rows[i, i : len(panel)], errors[i])
        kernel[start + block :] -= rows[:, block:].T @ errors
    return np.where(mask, kernel, 0.0).astype(kernel.dtype), mask


def _keep_group(panel: np.ndarray, keep: np.ndarray, diagonal: np.ndarray, i: int, rule: Any) -> None:
    """Keeps the largest scores of a group of every output; ties go to the smaller input."""
    here = slice(i, i + rule.group)
    order = np.argsort(-np.square(panel[here] / diagonal[here]), axis=0, kind="stable")
    np.put_along_axis(keep[here], order, np.arange(rule.group)[:, None] < rule.kept, axis=0)
