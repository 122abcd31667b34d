"""Trees as leaves by path, with a JSON description of their containers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import jax
import numpy as np

from compressjax import core
from compressjax.coding import ArtifactError
from compressjax.core._tree import path_string

_LEAF = 1  # means "the next leaf" in a description
_DEPTH = 200


def flatten(tree: Any) -> tuple[dict[str, Any], Any]:
    """Returns the leaves by value path, and a description of their containers.

    It keeps dicts, lists and tuples. Any other container (FrozenDict, NNX State, NamedTuple, pytree dataclass) becomes
    a dict of its children by key. A wrapper around one array (an NNX variable) becomes the array. Dict keys are sorted,
    as in JAX.
    """
    leaves: dict[str, Any] = {}
    return leaves, _describe(tree, "", leaves)


def unflatten(description: Any, leaves: Mapping[str, Any]) -> Any:
    """Inverse of `flatten`, except for containers that became dicts."""
    queue = iter(leaves.values())
    tree = _rebuild(description, queue, 0)
    if next(queue, _LEAF) is not _LEAF:
        raise ArtifactError("the manifest's tree has fewer places than the file has leaves; the file is damaged")
    return tree


def _describe(item: Any, path: str, leaves: dict[str, Any]) -> Any:
    if item is None:
        return None
    if isinstance(item, list | tuple) and not hasattr(item, "_fields"):
        parts = [_describe(part, _join(path, index), leaves) for index, part in enumerate(item)]
        return {"l" if isinstance(item, list) else "t": parts}
    children = _children(item, path)
    if children is None:
        if path in leaves:
            raise ArtifactError(f"two leaves share the path {path!r}; rename one of the tree's keys")
        leaves[path] = item
        return _LEAF
    if len(children) == 1 and children[0][0] in ("value", "raw_value") and not isinstance(item, Mapping):
        return _describe(children[0][1], path, leaves)
    return {"d": [[key, _describe(child, _join(path, key), leaves)] for key, child in children]}


def _children(item: Any, path: str) -> list[tuple[str | int, Any]] | None:
    """Keys and children of a container; None for a leaf."""
    if core.is_node(item) or isinstance(item, np.ndarray | np.generic | jax.Array | bool | int | float | complex):
        return None
    if isinstance(item, Mapping):
        for key in item:
            if type(key) not in (str, int):
                raise ArtifactError(f"key {key!r} under {path!r} is neither a string nor an integer; rename it")
        return sorted(item.items(), key=lambda pair: (type(pair[0]).__name__, pair[0]))
    flat, _ = jax.tree_util.tree_flatten_with_path(item, is_leaf=lambda part: part is not item)
    if len(flat) == 1 and not flat[0][0]:
        return None
    return [(path_string(keys) or jax.tree_util.keystr(keys, simple=True), child) for keys, child in flat]


def _join(path: str, key: str | int) -> str:
    return f"{path}/{key}" if path else str(key)


def _rebuild(description: Any, leaves: Iterator[Any], depth: int) -> Any:
    if description is None:
        return None
    if description == _LEAF and type(description) is int:
        try:
            return next(leaves)
        except StopIteration:
            raise ArtifactError(
                "the manifest's tree has more places than the file has leaves; the file is damaged"
            ) from None
    if depth < _DEPTH and isinstance(description, dict) and len(description) == 1:
        ((kind, parts),) = description.items()
        if isinstance(parts, list) and kind in ("l", "t"):
            return (list if kind == "l" else tuple)(_rebuild(part, leaves, depth + 1) for part in parts)
        if isinstance(parts, list) and kind == "d" and all(_is_entry(part) for part in parts):
            return {key: _rebuild(part, leaves, depth + 1) for key, part in parts}
    raise ArtifactError(f"unknown container {str(description)[:80]} in the manifest; the file is damaged")


def _is_entry(part: Any) -> bool:
    return isinstance(part, list) and len(part) == 2 and type(part[0]) in (str, int)
