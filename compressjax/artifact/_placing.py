"""Leaves of a file on the devices where they belong, shard by shard."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from compressjax.coding import ArtifactError, Leaves
from compressjax.coding._file import reference
from compressjax.coding._limits import shown
from compressjax.core import Dense, ops

Sharding = jax.sharding.NamedSharding
Shardings = Sharding | Mapping[str, Sharding] | Callable[[str, Any], Sharding]


def placed(opened: Leaves, shardings: Shardings) -> dict[str, Any]:
    """All leaves of a file, read one by one; what the file holds once is one leaf."""
    found: dict[str, Any] = {}
    paths = list(opened)
    for path, structure in opened.manifest.structures.items():
        first = reference(structure)
        found[path] = place(path, opened[path], shardings) if first is None else found[paths[first]]
    return found


def place(path: str, leaf: Any, shardings: Shardings) -> Any:
    """A leaf of NumPy arrays, on the devices of the sharding of its dense tensor; each device gets its shards only.

    The arrays of a node are split as `specs` of the node says. Axes that the devices do not divide, and nodes whose
    groups would lie on two devices, are whole on each.
    """
    if not hasattr(leaf, "shape") or isinstance(leaf, jax.Array):  # numbers, and random keys
        return leaf
    sharding = _chosen(path, leaf, shardings)
    mesh, axes = sharding.mesh, _fitting(sharding, tuple(leaf.shape))
    found = ops.specs(leaf, axes, dict(mesh.shape))
    if isinstance(found, Dense):
        found = jax.tree.map(lambda x: jax.sharding.PartitionSpec(), leaf)

    def put(x: Any, spec: Any) -> Any:
        whole = np.asarray(x)
        if jax.dtypes.canonicalize_dtype(whole.dtype) != whole.dtype:
            return whole  # JAX would narrow it, so it stays with NumPy as in every other load
        return jax.make_array_from_callback(whole.shape, Sharding(mesh, spec), lambda index: whole[index])

    return jax.tree.map(put, leaf, found)


def _chosen(path: str, leaf: Any, shardings: Shardings) -> Sharding:
    if isinstance(shardings, Mapping):
        if path not in shardings:
            raise ArtifactError(f"sharding= has none for the leaf {shown(path)}; give one for every path of the file")
        sharding = shardings[path]
    else:
        sharding = shardings if isinstance(shardings, Sharding) else shardings(path, leaf)
    if not isinstance(sharding, Sharding):
        raise ArtifactError(
            f"sharding= gives a {type(sharding).__name__} for the leaf {shown(path)}; use NamedSharding"
        )
    return sharding


def _fitting(sharding: Sharding, shape: tuple[int, ...]) -> tuple[Any, ...]:
    """The mesh axes of every axis of the leaf, without those that do not divide it."""
    axes = []
    for length, entry in itertools.zip_longest(shape, tuple(sharding.spec)[: len(shape)]):
        names = entry if isinstance(entry, tuple) else () if entry is None else (entry,)
        axes.append(entry if length % math.prod(sharding.mesh.shape[name] for name in names) == 0 else None)
    return tuple(axes)
