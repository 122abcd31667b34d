"""Records of `observe`, keyed by path, summed axes and shape; loops and branches pass them as arrays."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from compressjax.interpret.jaxpr._weight import varying_axes
from compressjax.interpret.observing._statistics import Statistics, merge


@dataclasses.dataclass(frozen=True, order=True)
class Key:
    """Key of a record."""

    path: str  # of the weight
    axes: tuple[int, ...]  # axes of the leaf that the product sums over
    shape: tuple[int, ...]  # of the record's sums: layers and batch axes, then the width


Records = dict[Key, Statistics]


def add(records: Records, path: str, axes: tuple[int, ...], new: Statistics) -> None:
    """Merges a record, in place, into the one of the same weight, axes and shape."""
    key = Key(path, axes, tuple(new.total.shape))
    old = records.get(key)
    records[key] = new if old is None else merge(old, new)


def joined(a: Records, b: Records) -> Records:
    """Union of two sets of records; records with the same key are merged."""
    out = dict(a)
    for key, new in b.items():
        add(out, key.path, key.axes, new)
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


def named(records: Records) -> dict[str, Statistics]:
    """Records by path; further records of the same weight are named `path#axes` or `path#axes:shape`."""
    out: dict[str, Statistics] = {}
    for key in sorted(records, key=lambda k: (k.path, k.axes, -len(k.shape), k.shape)):
        axes, shape = ("x".join(map(str, part)) for part in (key.axes, key.shape))
        names = (key.path, f"{key.path}#{axes}", f"{key.path}#{axes}:{shape}")
        out[next(name for name in names if name not in out)] = records[key]
    return out
