"""Records of `observe`, keyed by path, summed axes and shape; loops and branches pass them as arrays."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from compressjax.core._layout import Layout
from compressjax.interpret.jaxpr._weight import varying_axes
from compressjax.interpret.observing._statistics import Statistics, merge


@dataclasses.dataclass(frozen=True, order=True)
class Key:
    """Key of a record."""

    path: str  # of the weight
    axes: tuple[int, ...]  # axes of the leaf that the product sums over, in the order of the rows
    shape: tuple[int, ...]  # of the record's sums: layers and batch axes, then the width
    batch: tuple[int, ...] = ()  # axes of the leaf along the leading axes of the sums


Records = dict[Key, Statistics]


def add(records: Records, key: Key, new: Statistics) -> None:
    """Merges a record, in place, into the one of the same weight, axes and shape; the shape is that of the record."""
    key = dataclasses.replace(key, shape=tuple(new.total.shape))
    old = records.get(key)
    records[key] = new if old is None else merge(old, new)


def joined(a: Records, b: Records) -> Records:
    """Union of two sets of records; records with the same key are merged."""
    out = dict(a)
    for key, new in b.items():
        add(out, key, new)
    return out


def stacked(records: Records, origins: dict[str, tuple[int, ...]]) -> Records:
    """Records of the layers of a stack, now with the layers as leading axis; `origins` are its axes in the leaf."""
    out: Records = {}
    for key, new in records.items():
        add(out, dataclasses.replace(key, batch=(*origins[key.path], *key.batch)), new)
    return out


def empty(recorded: Callable[..., Records], *args: Any) -> Records:
    """Empty records with the structure of what a function records."""
    axes: list[Any] = []

    def traced(*operands: Any) -> Records:
        records = recorded(*operands)
        axes.append([varying_axes(leaf) for leaf in jax.tree.leaves(records)])
        return records

    leaves, structure = jax.tree.flatten(jax.eval_shape(traced, *args))
    zeros = []
    for leaf, names in zip(leaves, axes[-1], strict=True):
        zero = jnp.zeros(leaf.shape, leaf.dtype)
        zeros.append(jax.lax.pcast(zero, tuple(sorted(names)), to="varying") if names else zero)
    return jax.tree.unflatten(structure, zeros)


def named(records: Records, shapes: dict[str, tuple[int, ...]]) -> dict[str, Statistics]:
    """Records by path; further records of the same weight are named `path#axes` or `path#axes:shape`."""
    out: dict[str, Statistics] = {}
    for key in sorted(records, key=lambda k: (k.path, sorted(k.axes), k.axes, -len(k.shape), k.shape, k.batch)):
        axes, shape = ("x".join(map(str, part)) for part in (key.axes, key.shape))
        names = (key.path, f"{key.path}#{axes}", f"{key.path}#{axes}:{shape}", f"{key.path}#{axes}:{shape}:{key.batch}")
        out[next(name for name in names if name not in out)] = records[key].replace(layout=_layout(key, shapes))
    return out


def _layout(key: Key, shapes: dict[str, tuple[int, ...]]) -> Layout:
    """The layout of a leaf; without axes if a product uses a part of an axis."""
    shape, used = shapes[key.path], (*key.batch, *key.axes)
    sizes = tuple(shape[a] for a in key.batch), math.prod(shape[a] for a in key.axes)
    if len(set(used)) != len(used) or sizes != (key.shape[:-1], key.shape[-1]):
        return Layout((), (), ())
    return Layout(key.batch, key.axes, tuple(a for a in range(len(shape)) if a not in used))
