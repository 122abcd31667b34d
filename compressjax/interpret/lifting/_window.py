"""Windows of a node: static and dynamic slices that leave what they keep compressed."""

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from compressjax.core import Node
from compressjax.interpret.jaxpr._weight import Dense
from compressjax.interpret.lifting._layout import Result, rebuild
from compressjax.tensors import Codebook, LowRank, Masked, Quantized, Sum, storage_order


class Window(NamedTuple):
    """What is kept of one axis.

    Attributes:
        start: First index: an int, or an integer scalar that is known only at run time.
        size: Number of entries.
        step: Distance between entries; 1 when the start is not an int.
    """

    start: Any
    size: int
    step: int = 1


Windows = Sequence[Window | None]  # None keeps the whole axis


def windows(
    shape: Sequence[int], starts: Sequence[Any], sizes: Sequence[int], steps: Sequence[int] | None = None
) -> list[Window | None]:
    """Windows with None where the whole axis is kept, whatever its start index says.

    Args:
        shape: Lengths of the axes.
        starts: First index an axis, ints or integer scalars.
        sizes: Entries kept an axis.
        steps: Distances an axis; ones when None.

    Returns:
        One window or None an axis.

    Example:
        >>> windows((4, 3), (1, 0), (2, 3))
        [Window(start=1, size=2, step=1), None]
    """
    steps = steps or (1,) * len(shape)
    rows = zip(shape, starts, sizes, steps, strict=True)
    return [None if size == length else Window(start, size, step) for length, start, size, step in rows]


def _cut_array(x: Any, window: Windows) -> jax.Array:
    fixed = [w if w is not None and isinstance(w.start, int) else None for w in window]
    moving = [w if w is not None and not isinstance(w.start, int) else None for w in window]
    if any(w is not None for w in fixed):
        parts = [w or Window(0, d) for w, d in zip(fixed, x.shape, strict=True)]
        ends = [w.start + (w.size - 1) * w.step + 1 if w.size else w.start for w in parts]
        x = jax.lax.slice(x, [w.start for w in parts], ends, [w.step for w in parts])
    if any(w is not None for w in moving):
        # The operation clamps; `jax.lax.dynamic_slice` would first count negative indices from the end.
        starts = [jnp.clip(w.start, 0, d - w.size) if w else 0 for w, d in zip(moving, x.shape, strict=True)]
        x = jax.lax.dynamic_slice(x, starts, [w.size if w else d for w, d in zip(moving, x.shape, strict=True)])
    return jnp.asarray(x)


def cut(node: Any, window: Windows) -> Result:
    """Keeps a window of every axis of a node.

    Args:
        node: Array or node of n axes.
        window: n windows; None keeps the whole axis.

    Returns:
        Node or array; `Dense` when the window has no such form.

    Example:
        >>> cut(LowRank(jnp.ones((4, 1)), jnp.ones((1, 3))), (None, Window(1, 2))).shape
        (4, 2)
    """
    if all(w is None for w in window):
        return node
    if not isinstance(node, Node):
        return _cut_array(node, window)
    if isinstance(node, Masked):
        return rebuild(lambda v: Masked(v, _cut_array(node.mask, window)), cut(node.value, window))
    if isinstance(node, Codebook):
        tables = cut(node.centroids, [*window[: node.batch], None])
        return rebuild(lambda t: Codebook(t, _cut_array(node.codes, window)), tables)
    if isinstance(node, Quantized):
        return _cut_quantized(node, window)
    if isinstance(node, LowRank):
        k = node.batch + node.inputs
        left = cut(node.left, [*window[:k], None])
        right = cut(node.right, [*window[: node.batch], None, *window[k:]])
        return rebuild(lambda x, y: LowRank(x, y, node.inputs), left, right)
    if isinstance(node, Sum):
        return rebuild(lambda *terms: Sum(terms), *(cut(t, window) for t in node.terms))
    return Dense("it cannot be sliced in compressed form")


def _cut_quantized(node: Quantized, window: Windows) -> Result:
    static = node.activation_scale
    if static is not None and getattr(static, "size", 1) != 1:
        static = _cut_array(static, window[: len(static.shape)])  # one a layer of a stack
    codes = _cut_array(node.codes, [window[axis] for axis in storage_order(len(window), node.order)])
    return rebuild(
        lambda scale, zero: dataclasses.replace(
            node, codes=codes, scale=scale, zero_point=zero, activation_scale=static
        ),
        _cut_blocks(node.scale, node.shape, window),
        _cut_blocks(node.zero_point, node.shape, window),
    )


def _cut_blocks(x: Any, shape: tuple[int, ...], window: Windows) -> Result:
    if x is None:
        return None
    blocks = [_block_window(d, s, w) for d, s, w in zip(shape, x.shape, window, strict=True)]
    return next((b for b in blocks if isinstance(b, Dense)), None) or _cut_array(x, blocks)


def _block_window(length: int, blocks: int, window: Window | None) -> Any:
    """The window of the scales of an axis that is cut by `window`."""
    if window is None or blocks == 1:
        return None
    if blocks == length:
        return window
    group = length // blocks
    if isinstance(window.start, int) and window.step == 1 and window.start % group == 0 and window.size % group == 0:
        return Window(window.start // group, window.size // group)
    return Dense("the slice cuts through a group of scales")


def pieces(node: Any, axis: int, sizes: Sequence[int]) -> Result:
    """Splits a node along an axis.

    Args:
        node: Array or node.
        axis: Axis to split.
        sizes: Lengths of the pieces.

    Returns:
        List of nodes or arrays; `Dense` when a piece has no compressed form.

    Example:
        >>> [p.shape for p in pieces(LowRank(jnp.ones((4, 1)), jnp.ones((1, 3))), 1, (1, 2))]
        [(4, 1), (4, 2)]
    """
    parts, start = [], 0
    for size in sizes:
        whole: list[Window | None] = [None] * len(node.shape)
        whole[axis] = Window(start, int(size))
        parts.append(cut(node, whole))
        start += int(size)
    return rebuild(lambda *kept: list(kept), *parts)
