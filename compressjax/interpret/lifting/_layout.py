"""Changes of layout pushed through a node, where that is exact: the node stays compressed."""

import dataclasses
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from compressjax.core import Node
from compressjax.interpret.jaxpr._weight import Dense
from compressjax.tensors import Codebook, LowRank, Masked, Quantized, Sum, expand_blocks, storage_order

Result = Any


def transpose(node: Any, permutation: Sequence[int]) -> Result:
    """Transposes a node without touching what it stores, where its form allows.

    Args:
        node: Array or node of n axes.
        permutation: Permutation of the n axes.

    Returns:
        Node or array; `Dense` when the transposed tensor has no such form.

    Example:
        >>> transpose(LowRank(jnp.ones((4, 1)), jnp.ones((1, 3))), (1, 0)).shape
        (3, 4)
    """
    perm = tuple(permutation)
    if not isinstance(node, Node):
        return jnp.transpose(node, perm)
    if isinstance(node, Masked):
        return rebuild(lambda v: Masked(v, jnp.transpose(node.mask, perm)), transpose(node.value, perm))
    if isinstance(node, Codebook) and perm[: node.batch] == tuple(range(node.batch)):
        return Codebook(node.centroids, jnp.transpose(node.codes, perm))
    if isinstance(node, Quantized):
        stored = storage_order(len(perm), node.order)
        moved: dict[str, Any] = {n: None if x is None else jnp.transpose(x, perm) for n, x in _scales(node).items()}
        return dataclasses.replace(node, order=_trailing(perm.index(axis) for axis in stored), **moved)
    if isinstance(node, LowRank):
        return _transpose_low_rank(node, perm)
    if isinstance(node, Sum):
        return rebuild(lambda *terms: Sum(terms), *(transpose(t, perm) for t in node.terms))
    return Dense("its axes cannot be permuted in compressed form")


def rebuild(make: Callable[..., Any], *parts: Any) -> Result:
    """Puts parts together, unless one of them has no compressed form.

    Args:
        make: Function of the parts.
        *parts: Arrays, nodes or `Dense`.

    Returns:
        What `make` returns, or the first `Dense`.

    Example:
        >>> rebuild(lambda a, b: a + b, 1, Dense("no")).reason
        'no'
    """
    refused = [p for p in parts if isinstance(p, Dense)]
    return refused[0] if refused else make(*parts)


def _scales(node: Quantized) -> dict[str, Any]:
    return {"scale": node.scale, "zero_point": node.zero_point}


def _trailing(stored: Iterable[int]) -> tuple[int, ...]:
    """A stored order without the leading axes that stay in place: those may be stack axes."""
    order = tuple(stored)
    while order and order[0] == 0:
        order = tuple(axis - 1 for axis in order[1:])
    return order


def _transpose_low_rank(node: LowRank, perm: tuple[int, ...]) -> Result:
    b, n = node.batch, len(perm)
    lead, ins, outs = tuple(range(b)), set(range(b, b + node.inputs)), set(range(b + node.inputs, n))
    body = perm[b:]
    if perm[:b] != lead:
        return Dense("stacked low-rank factors cannot move their stack axis")
    if set(body[: node.inputs]) == ins:
        left = transpose(node.left, (*perm[: b + node.inputs], b + node.inputs))
        shift = node.inputs - 1
        right = transpose(node.right, (*lead, b, *(axis - shift for axis in perm[b + node.inputs :])))
        return rebuild(lambda x, y: LowRank(x, y, node.inputs), left, right)
    if set(body[: len(outs)]) == outs:
        shift = node.inputs - 1
        left = transpose(node.right, (*lead, *(axis - shift for axis in body[: len(outs)]), b))
        right = transpose(node.left, (*lead, b + node.inputs, *body[len(outs) :]))
        return rebuild(lambda x, y: LowRank(x, y, len(outs)), left, right)
    return Dense("the permutation mixes input and output axes of the factors")


def factored(old: Sequence[int], new: Sequence[int]) -> list[tuple[list[int], list[int]]]:
    """Smallest groups of old axes that become groups of new axes under a reshape.

    Args:
        old: Old shape.
        new: New shape of the same, positive size.

    Returns:
        Pairs of old and new axes, in order; one side is empty where an axis of length 1 goes or comes.

    Example:
        >>> factored((6, 8), (6, 2, 4))
        [([0], [0]), ([1], [1, 2])]
    """
    groups: list[tuple[list[int], list[int]]] = []
    i = j = 0
    while i < len(old) or j < len(new):
        a, b = ([i], []) if i < len(old) else ([], [j])
        i, j = (i + 1, j) if a else (i, j + 1)
        while math.prod(old[k] for k in a) != math.prod(new[k] for k in b):
            if math.prod(old[k] for k in a) < math.prod(new[k] for k in b):
                a.append(i)
                i += 1
            else:
                b.append(j)
                j += 1
        groups.append((a, b))
    return groups


def _reshape_scale(x: Any, old: tuple[int, ...], new: tuple[int, ...]) -> Any:
    """Reshapes block scales along with their tensor, spreading them over axes that merge or split."""
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
    target = [old[a] if g == old[a] else g for a, g in enumerate(grown)]
    spread = jnp.broadcast_to(_spread(x, old, grown), target)
    return spread.reshape(shape)


def _spread(x: Any, old: tuple[int, ...], grown: list[int]) -> Any:
    partial = tuple(old[a] if grown[a] == old[a] else x.shape[a] for a in range(len(old)))
    return expand_blocks(x, partial)


def reshape(node: Any, sizes: Sequence[int]) -> Result:
    """Reshapes a node in row-major order.

    Args:
        node: Array or node.
        sizes: New shape.

    Returns:
        Node or array; `Dense` when the reshaped tensor has no such form.

    Example:
        >>> reshape(LowRank(jnp.ones((4, 2)), jnp.ones((2, 6))), (4, 2, 3)).shape
        (4, 2, 3)
    """
    new = tuple(sizes)
    if not isinstance(node, Node):
        return jnp.reshape(node, new)
    if isinstance(node, Masked):
        return rebuild(lambda v: Masked(v, jnp.reshape(node.mask, new)), reshape(node.value, new))
    if math.prod(new) == 0:
        return Dense("it has no entries")
    if isinstance(node, Codebook):
        return _reshape_codebook(node, new)
    if isinstance(node, Quantized):
        return _reshape_quantized(node, new)
    if isinstance(node, LowRank):
        return _reshape_low_rank(node, new)
    if isinstance(node, Sum):
        return rebuild(lambda *terms: Sum(terms), *(reshape(t, new) for t in node.terms))
    return Dense("it cannot be reshaped in compressed form")


def _reshape_codebook(node: Codebook, new: tuple[int, ...]) -> Result:
    tables = math.prod(node.shape[: node.batch])
    lead = next((k for k in range(len(new) + 1) if math.prod(new[:k]) == tables), None)
    if lead is None:
        return Dense("the reshape joins entries of different tables in one axis")
    table = node.centroids if not node.batch else reshape(node.centroids, (*new[:lead], node.centroids.shape[-1]))
    return rebuild(lambda t: Codebook(t, jnp.reshape(node.codes, new)), table)


def _reshape_quantized(node: Quantized, new: tuple[int, ...]) -> Result:
    """Keeps the stored order if axes that merge or split lie together in it, as `[in, h * d]` to `[in, h, d]`."""
    static = node.activation_scale
    if static is not None and getattr(static, "size", 1) != 1 and new[: len(static.shape)] != tuple(static.shape):
        return Dense("the reshape moves the axis of one activation scale a layer")
    scales = {name: _reshape_scale(x, node.shape, new) for name, x in _scales(node).items()}
    if scales["scale"].size > max(node.scale.size, node.size // 4):
        return Dense("the reshape would need a scale for nearly every entry")
    moved = _moved(storage_order(len(node.shape), node.order), factored(node.shape, new))
    if moved is None:
        return dataclasses.replace(node, codes=jnp.reshape(node.dense_codes(), new), order=(), **scales)
    # Leading axes of length 1 stay outside of the order, so that the node is still a stack over them.
    ones = next((axis for axis, d in enumerate(new) if d != 1), len(new))
    moved = [*range(ones), *(axis for axis in moved if axis >= ones)]
    codes = jnp.reshape(node.codes, tuple(new[axis] for axis in moved))
    return dataclasses.replace(node, codes=codes, order=_trailing(moved), **scales)


def _moved(stored: tuple[int, ...], blocks: list[tuple[list[int], list[int]]]) -> list[int] | None:
    """The stored order of the new axes; None when axes that merge or split lie apart in the old order."""
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


def _reshape_low_rank(node: LowRank, new: tuple[int, ...]) -> Result:
    old, b = node.shape, node.batch
    cuts = []
    for count in (b, b + node.inputs):
        want = math.prod(old[:count])
        splits = [k for k in range(len(new) + 1) if math.prod(new[:k]) == want]
        if count == b and b == 0:
            splits = [0]
        if not splits:
            return Dense("the reshape merges input and output axes of the factors")
        cuts.append(splits[0])
    c, d = cuts
    d = max(d, c + 1) if math.prod(new[: max(d, c + 1)]) == math.prod(old[: b + node.inputs]) else d
    if d <= c and node.inputs:
        return Dense("the reshape leaves the left factor no axis")
    return rebuild(
        lambda left, right: LowRank(left, right, d - c),
        reshape(node.left, (*new[:d], node.rank)),
        reshape(node.right, (*new[:c], node.rank, *new[d:])),
    )


def convert(node: Any, dtype: Any) -> Result:
    """Changes the dense dtype of a node.

    Exact for entry-wise nodes; the factors of a `LowRank` are rounded instead of their product.

    Args:
        node: Array or node.
        dtype: Floating dtype.

    Returns:
        Node or array; `Dense` when the dtype is not floating.

    Example:
        >>> convert(Codebook(jnp.ones(2), jnp.zeros(3, jnp.uint8)), jnp.bfloat16).dtype
        dtype(bfloat16)
    """
    if not jnp.issubdtype(dtype, jnp.floating):
        return Dense(f"converted to {np.dtype(dtype).name}")
    if not isinstance(node, Node):
        return jnp.asarray(node).astype(dtype)
    if isinstance(node, Quantized):
        return dataclasses.replace(node, dtype_name=jnp.dtype(dtype).name)
    if isinstance(node, Masked):
        return Masked(convert(node.value, dtype), node.mask)
    if isinstance(node, Codebook):
        return Codebook(convert(node.centroids, dtype), node.codes)
    if isinstance(node, LowRank):
        return LowRank(convert(node.left, dtype), convert(node.right, dtype), node.inputs)
    if isinstance(node, Sum):
        return Sum(tuple(convert(t, dtype) for t in node.terms))
    return Dense("its dtype cannot be changed in compressed form")
