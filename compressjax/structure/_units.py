"""Removes units from arrays, or sets them to zero."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.core._paths import flatten_with_path, path_string
from compressjax.interpret import Group
from compressjax.interpret.coupling._lost import lost_units

Kept = Mapping[str, Sequence[int]]  # units to keep by group name; other groups keep all units


def removed(groups: Sequence[Group], kept: Kept) -> dict[str, dict[int, np.ndarray]]:
    """The positions to remove, as `{path: {axis: ascending positions}}`."""
    by_name = {group.name: group for group in groups}
    gone: dict[str, dict[int, np.ndarray]] = {}
    for name, lost in lost_units(groups, kept).items():
        for member in by_name[name].members if lost else ():
            axes = gone.setdefault(member.path, {})
            axes[member.axis] = np.union1d(axes.get(member.axis, np.array([], int)), member.positions[lost])
    return gone


def cut(params: Any, groups: Sequence[Group], kept: Kept) -> Any:
    """Removes units from all their weights, which leaves smaller arrays."""
    gone = removed(groups, kept)

    def smaller(path: str, leaf: Any) -> Any:
        for axis, positions in gone[path].items():
            leaf = jnp.take(leaf, np.setdiff1d(np.arange(leaf.shape[axis]), positions), axis=axis)
        return leaf

    return _changed(params, gone, smaller)


def _changed(params: Any, gone: Mapping[str, Any], change: Callable[[str, Any], Any]) -> Any:
    """The tree with some leaves changed, in one compiled program."""
    flat, structure = flatten_with_path(params)
    named = {path_string(path): leaf for path, leaf in flat if path_string(path) in gone}

    def run(leaves: dict[str, Any]) -> dict[str, Any]:
        return {path: change(path, leaf) for path, leaf in leaves.items()}

    abstract = any(isinstance(leaf, jax.ShapeDtypeStruct) for leaf in named.values())
    new = jax.eval_shape(run, named) if abstract else jax.jit(run)(named)
    return jax.tree.unflatten(structure, [new.get(path_string(path), leaf) for path, leaf in flat])


def mask(params: Any, groups: Sequence[Group], kept: Kept, *, factor: float = 0.0) -> Any:
    """Sets units to zero in all their weights; the reference for `cut`.

    Biases and statistics of BatchNorm are weights too, so a masked unit is exactly zero after a norm. A tiny `factor`
    helps where zeros would be divided by zeros.
    """
    gone = removed(groups, kept)

    def zeroed(path: str, leaf: Any) -> Any:
        for axis, positions in gone[path].items():
            keep = np.ones(leaf.shape[axis], bool)
            keep[positions] = False
            leaf = jnp.where(
                keep.reshape([-1 if a == axis else 1 for a in range(leaf.ndim)]), leaf, leaf * factor if factor else 0
            )
        return leaf

    return _changed(params, gone, zeroed)
