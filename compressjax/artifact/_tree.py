"""Trees as leaves by path, with a JSON description of their containers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from compressjax import core
from compressjax.coding import ArtifactError
from compressjax.coding._containers import LEAF, build, join
from compressjax.coding._limits import CONTAINERS, shown
from compressjax.core._paths import is_box, path_string

Entry = tuple[str | int, Any]


def flatten(tree: Any) -> tuple[dict[str, Any], Any]:
    """Returns the leaves by value path, and a description of their containers.

    It keeps dicts, lists and tuples. Any other container (FrozenDict, NNX State, NamedTuple, pytree dataclass) becomes
    a dict of its children by key. A wrapper of Flax around one array (an NNX variable, a box of Linen) becomes the
    array. The keys of mappings have the order in which JAX flattens them: sorted, except for an OrderedDict.
    """
    leaves: dict[str, Any] = {}
    return leaves, _describe(tree, "", leaves, 0)


def unflatten(description: Any, leaves: Mapping[str, Any]) -> Any:
    """Inverse of `flatten`, except for containers that became dicts."""
    return build(description, leaves)


def _describe(item: Any, path: str, leaves: dict[str, Any], depth: int) -> Any:
    if item is None:
        return None
    sequence = isinstance(item, list | tuple) and not hasattr(item, "_fields")
    children = list(enumerate(item)) if sequence else _children(item, path)
    if children is None:
        if path in leaves:
            raise ArtifactError(f"two leaves share the path {shown(path)}; rename one of the tree's keys")
        leaves[path] = item
        return LEAF
    if not sequence and is_box(item) and len(children) == 1:
        return _describe(children[0][1], path, leaves, depth)
    if depth >= CONTAINERS:
        raise ArtifactError(
            f"the containers at {shown(path)} are nested deeper than {CONTAINERS}, which no file may hold; "
            "flatten the tree"
        )
    parts = [(key, _describe(child, join(path, key), leaves, depth + 1)) for key, child in children]
    if sequence:
        return {"l" if isinstance(item, list) else "t": [part for _, part in parts]}
    keys = [_sorted_key(child) for child in children]
    kept = _is_mapping(item) and keys != sorted(keys)
    return {"o" if kept else "d": [list(part) for part in parts]}


def _children(item: Any, path: str) -> list[Entry] | None:
    """Keys and children of a container; None for a leaf."""
    if core.is_node(item) or isinstance(item, np.ndarray | np.generic | jax.Array | bool | int | float | complex):
        return None
    if _is_mapping(item):
        for key in item:
            if type(key) not in (str, int):
                raise ArtifactError(f"key {key!r} under {path!r} is neither a string nor an integer; rename it")
        return _in_order(item)
    flat, _ = jax.tree_util.tree_flatten_with_path(item, is_leaf=lambda part: part is not item)
    if len(flat) == 1 and not flat[0][0]:
        return None
    return [(path_string(keys), child) for keys, child in flat]


def _in_order(item: Mapping[Any, Any]) -> list[Entry]:
    """Entries of a mapping in the order in which JAX flattens it; sorted where JAX does not say."""
    if type(item) is not dict:
        flat, _ = jax.tree_util.tree_flatten_with_path(item, is_leaf=lambda part: part is not item)
        keys: list[Any] = [getattr(path[0], "key", None) for path, _ in flat if len(path) == 1]
        if len(keys) == len(item) and set(keys) == set(item):
            return [(key, item[key]) for key in keys]
    return sorted(item.items(), key=_sorted_key)


def _sorted_key(entry: Entry) -> Any:
    return type(entry[0]).__name__, entry[0]


def _is_mapping(item: Any) -> bool:
    return isinstance(item, Mapping)
