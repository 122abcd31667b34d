"""Leaves of a file in the containers of a tree that the caller has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from compressjax import core
from compressjax.artifact._tree import flatten
from compressjax.coding import ArtifactError
from compressjax.coding._limits import shown

_NUMBERS = {bool: "b", int: "iu", float: "f", complex: "c"}


def indices(tree: Any) -> tuple[list[Any], Any, dict[str, int]]:
    """Leaves in JAX's order, the structure, and the number of the leaf at each path of a file."""
    leaves, treedef = jax.tree.flatten(tree, is_leaf=core.is_node)
    return leaves, treedef, flatten(jax.tree.unflatten(treedef, range(len(leaves))))[0]


def filled(like: Any, leaves: Mapping[str, Any]) -> Any:
    """The tree `like` with these leaves; raises unless paths, shapes and dtypes agree.

    Nodes stand where `like` has an array or a node of the same dense shape and dtype. Leaves of `like` that are neither
    arrays nor numbers, such as the functions in an Equinox module, stay.
    """
    parts, treedef, places = indices(like)
    wanted = {
        path: index for path, index in places.items() if type(parts[index]) in _NUMBERS or _is_array(parts[index])
    }
    problems = []
    if missing := [path for path in wanted if path not in leaves]:
        problems.append(f"the file lacks {_some(missing)}")
    if extra := [path for path in leaves if path not in wanted]:
        problems.append(f"like= lacks {_some(extra)}")
    out = list(parts)
    different = []
    for path in wanted.keys() & leaves.keys():
        found, part = leaves[path], parts[wanted[path]]
        out[wanted[path]] = type(part)(found.item()) if _is_number(found, part) else found
        if not _is_number(found, part) and (type(part) in _NUMBERS or _kind(found) != _kind(part)):
            different.append(f"{path} ({_kind(found)} in the file, {_kind(part)} in like=)")
    if different:
        problems.append(f"these differ: {_some(sorted(different))}")
    if problems:
        raise ArtifactError(
            f"the leaves do not fit like=: {'; '.join(problems)}; give like= a tree of the structure that was "
            "saved, or load without it"
        )
    return jax.tree.unflatten(treedef, out)


def _is_array(x: Any) -> bool:
    return hasattr(x, "shape") and hasattr(x, "dtype")


def _is_number(found: Any, part: Any) -> bool:
    return type(part) in _NUMBERS and np.shape(found) == () and found.dtype.kind in _NUMBERS[type(part)]


def _kind(x: Any) -> str:
    return f"{x.dtype}{list(x.shape)}" if _is_array(x) else type(x).__name__


def _some(names: list[str]) -> str:
    return ", ".join(map(shown, names[:5])) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
