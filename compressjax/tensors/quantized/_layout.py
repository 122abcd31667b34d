"""Layout changes of a grid: transposes, reshapes and slices of the codes and their block scales."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from compressjax.core import Dense, Node, Window, ops
from compressjax.numerics._factored import factored
from compressjax.tensors.quantized._grid import Grid, expand_blocks

Windows = tuple[Window | None, ...]


def transpose(grid: Grid, perm: tuple[int, ...]) -> Grid:
    """Transposes the scales and updates the stored order; the codes stay as they are."""
    moved = {name: None if x is None else ops.transpose(x, perm) for name, x in _scales(grid).items()}
    return grid.replace(order=_trailing(perm.index(axis) for axis in grid.stored()), **moved)


def _scales(grid: Grid) -> dict[str, Any]:
    return {"scale": grid.scale, "zero_point": grid.zero_point}


def _trailing(stored: Iterable[int]) -> tuple[int, ...]:
    """A stored order without the leading axes that stay in place, since those may be batch axes."""
    order = tuple(stored)
    while order and order[0] == 0:
        order = tuple(axis - 1 for axis in order[1:])
    return order


def reshape(grid: Grid, new: tuple[int, ...]) -> Grid | Dense:
    """Keeps the stored order if axes that merge or split are adjacent in it, as in `[in, h * d]` to `[in, h, d]`."""
    static = grid.activation_scale
    if static is not None and getattr(static, "size", 1) != 1 and new[: len(static.shape)] != tuple(static.shape):
        return Dense("the reshape changes the axis of the activation scales per layer")
    grid = grid.plain()
    scales = {name: reshape_blocks(x, grid.shape, new) for name, x in _scales(grid).items()}
    if scales["scale"].size > max(grid.scale.size, grid.size // 4):
        return Dense("the reshape would need a scale for nearly every entry")
    moved = _moved(grid.stored(), factored(grid.shape, new))
    if moved is None:
        return grid.replace(codes=jnp.reshape(grid.dense_codes(), new), order=(), **scales)
    # Leave leading axes of length 1 out of the order, so that they can still be batch axes.
    ones = next((axis for axis, d in enumerate(new) if d != 1), len(new))
    moved = [*range(ones), *(axis for axis in moved if axis >= ones)]
    codes = jnp.reshape(grid.codes, tuple(new[axis] for axis in moved))
    return grid.replace(codes=codes, order=_trailing(moved), **scales)


def reshape_blocks(x: Any, old: tuple[int, ...], new: tuple[int, ...]) -> Any:
    """Reshapes block scales along with their tensor; expands them along axes that merge or split."""
    if x is None:
        return None
    grown = list(x.shape)
    shape: list[int] = []
    for olds, news in factored(old, new):
        if all(x.shape[a] == 1 for a in olds):
            shape += [1] * len(news)
        elif len(olds) == 1 and len([b for b in news if new[b] != 1]) <= 1:
            shape += [x.shape[olds[0]] if new[b] == old[olds[0]] else 1 for b in news]
        else:
            for a in olds:
                grown[a] = old[a]
            shape += [new[b] for b in news]
    return jnp.broadcast_to(expand_blocks(x, tuple(grown)), grown).reshape(shape)


def _moved(stored: tuple[int, ...], blocks: list[tuple[list[int], list[int]]]) -> list[int] | None:
    """Stored order of the new axes; None if axes that merge or split are not adjacent in the old order."""
    groups = {tuple(olds): news for olds, news in blocks if olds}
    moved = [axis for olds, news in blocks if not olds for axis in news]  # new axes of length 1
    place = 0
    while place < len(stored):
        run = next((g for g in groups if g == stored[place : place + len(g)]), None)
        if run is None:
            return None
        moved += groups[run]
        place += len(run)
    return moved


def cut(grid: Grid, window: Windows) -> Grid | Dense:
    """Slices the codes and their scales."""
    static = grid.activation_scale
    if static is not None and getattr(static, "size", 1) != 1:
        static = ops.cut(static, window[: len(static.shape)])  # one per stacked layer
    codes = ops.cut(grid.codes, [window[axis] for axis in grid.stored()])
    if isinstance(cut_blocks(grid.scale, grid.shape, window), Dense):
        grid = grid.plain()  # scales of scales may be in blocks that the window splits
    made: Grid | Dense = ops.rebuild(
        lambda scale, zero: grid.replace(codes=codes, scale=scale, zero_point=zero, activation_scale=static),
        *(cut_blocks(x, grid.shape, window) for x in _scales(grid).values()),
    )
    return made


def cut_blocks(x: Any, shape: Sequence[int], window: Windows) -> Any:
    """Slices block scales along with their tensor, unless the slice splits a block."""
    if x is None:
        return None
    blocks = [_block_window(d, s, w) for d, s, w in zip(shape, x.shape, window, strict=True)]
    return next((b for b in blocks if isinstance(b, Dense)), None) or ops.cut(x, blocks)


def _block_window(length: int, blocks: int, window: Window | None) -> Any:
    """Window of an axis of the scales, given the window of the same axis of the tensor."""
    if window is None or blocks == 1:
        return None
    if blocks == length:
        return window
    group = length // blocks
    if isinstance(window.start, int) and window.step == 1 and window.start % group == 0 and window.size % group == 0:
        return Window(window.start // group, window.size // group)
    return Dense("the slice splits a group that shares a scale")


def concatenate(grids: Sequence[Grid], axis: int) -> Grid | Dense:
    """Joins grids of one kind; every part keeps its scales."""
    if len({(g.bits, g.activation, g.dtype_name, g.codes.dtype, g.table, g.zero_point is None) for g in grids}) > 1:
        return Dense("grids of several kinds cannot be joined")
    if any(isinstance(g.scale, Node) for g in grids) or len({g.scale.dtype for g in grids}) > 1:
        grids = [g.plain() for g in grids]
    if len({g.order for g in grids}) > 1:
        grids = [g.replace(codes=g.dense_codes(), order=()) for g in grids]
    blocks = joined_blocks(grids, axis)
    static = () if grids[0].activation_scale is None else [_by_layer(g, axis) for g in grids]
    refused = next((part for part in (blocks, *static) if isinstance(part, Dense)), None)
    if refused or isinstance(blocks, Dense):
        return refused or Dense("")

    def scales(name: str) -> Any:
        parts = [getattr(g, name) for g in grids]
        if parts[0] is None:
            return None
        return jnp.concatenate([expand_blocks(jnp.asarray(x), n) for x, n in zip(parts, blocks, strict=True)], axis)

    return grids[0].replace(
        codes=jnp.concatenate([g.codes for g in grids], grids[0].places()[axis]),
        scale=scales("scale"), zero_point=scales("zero_point"),
        activation_scale=jnp.concatenate(static) if static else None,
    )  # fmt: skip


def joined_blocks(grids: Sequence[Any], axis: int) -> list[tuple[int, ...]] | Dense:
    """Number of scales of every part on every axis, so that they tile the joined tensor."""
    most = [max(g.scale.shape[a] for g in grids) for a in range(grids[0].ndim)]
    if any(n not in (1, most[a]) for g in grids for a, n in enumerate(g.scale.shape) if a != axis):
        return Dense("grids with groups of several sizes cannot be joined")
    lengths = {g.shape[axis] // g.scale.shape[axis] for g in grids}
    out = [
        (*most[:axis], g.scale.shape[axis] if len(lengths) == 1 else g.shape[axis], *most[axis + 1 :]) for g in grids
    ]
    if sum(map(math.prod, out)) > sum(g.size for g in grids) // 4 and any(
        g.scale.size != math.prod(n) for g, n in zip(grids, out, strict=True)
    ):
        return Dense("joined grids would need a scale for nearly every entry")
    return out


def block_specs(shape: Sequence[int], blocks: Sequence[int], axes: Sequence[Any], sizes: Mapping[str, int]) -> Any:
    """The `PartitionSpec` of block scales, sharded like their tensor; `Dense` where two devices would share a block."""
    parts = []
    for length, count, axis in zip(shape, blocks, axes, strict=True):
        names = axis if isinstance(axis, tuple) else (axis,) if axis else ()
        if count not in (1, length) and count % math.prod(sizes[name] for name in names):
            return Dense("a group that shares a scale would be split over two devices")
        parts.append(None if count == 1 else axis)
    return ops.Spec(*parts)


def _by_layer(grid: Grid, axis: int) -> Any:
    """The activation scales of stacked layers, one for each; `Dense` along any other axis."""
    scale = jnp.asarray(grid.activation_scale)
    if axis or scale.shape not in ((), (grid.shape[0],)):
        return Dense("activation scales are those of whole layers")
    return jnp.broadcast_to(scale, (grid.shape[0],))


def rows(grid: Grid, indices: jax.Array) -> Grid:
    """Takes rows along axis 0 of the dense tensor, without a transpose of all codes."""
    places = grid.places()
    codes = jnp.transpose(jnp.take(grid.codes, indices, axis=places[0], mode="clip"), places)
    block = jnp.clip(indices, 0, grid.shape[0] - 1) // (grid.shape[0] // grid.scale.shape[0])
    scales = {name: None if x is None else ops.rows(x, block) for name, x in _scales(grid).items()}
    return grid.replace(codes=codes, order=(), **scales)
