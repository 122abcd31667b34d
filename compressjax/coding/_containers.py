"""Containers: a JSON description of the tree whose leaves a file lists, and the tree that it describes.

A description is 1 for the next leaf, null, `{"l": [...]}` for a list, `{"t": [...]}` for a tuple, `{"d": [[key, child],
...]}` for a dict, or `{"o": [[key, child], ...]}` for a dict that keeps its order.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import Any

from compressjax.coding._errors import ArtifactError
from compressjax.coding._limits import CONTAINERS, PATH, shown

LEAF = 1


def join(path: str, key: str | int) -> str:
    """Path of a child."""
    joined = f"{path}/{key}" if path else str(key)
    if len(joined) > PATH:
        raise ArtifactError(f"the path {shown(joined)} is longer than {PATH} characters, which no file may hold")
    return joined


def build(description: Any, leaves: Mapping[str, Any]) -> Any:
    """The tree with these leaves, whose order and paths must be those of the description."""
    queue = iter(leaves.items())
    tree = _build(description, "", queue, 0)
    if next(queue, None) is not None:
        raise ArtifactError("the manifest's tree has fewer places than the file has leaves; the file is damaged")
    return tree


def is_ordered(description: Any) -> bool:
    """Whether a description has dicts that keep their order, which format version 1 lacks."""
    if not isinstance(description, dict):
        return False
    ((kind, parts),) = description.items()
    children = [part[1] for part in parts] if kind in ("d", "o") else parts
    return kind == "o" or any(map(is_ordered, children))


def _build(description: Any, path: str, leaves: Iterator[tuple[str, Any]], depth: int) -> Any:
    if description is None:
        return None
    if description == LEAF and type(description) is int:
        name, leaf = next(leaves, (None, None))
        if name is None:
            raise ArtifactError("the manifest's tree has more places than the file has leaves; the file is damaged")
        if name != path:
            raise ArtifactError(
                f"leaf {shown(name)} stands at {shown(path)} in the manifest's tree; the file is damaged"
            )
        return leaf
    if depth < CONTAINERS and isinstance(description, dict) and len(description) == 1:
        ((kind, parts),) = description.items()
        if isinstance(parts, list) and kind in ("l", "t"):
            children = [_build(part, join(path, index), leaves, depth + 1) for index, part in enumerate(parts)]
            return children if kind == "l" else tuple(children)
        if isinstance(parts, list) and kind in ("d", "o") and all(map(_is_entry, parts)):
            out: dict[str | int, Any] = {} if kind == "d" else OrderedDict()
            for key, part in parts:
                if key in out:
                    raise ArtifactError(f"key {shown(key)} occurs twice in the manifest's tree; the file is damaged")
                out[key] = _build(part, join(path, key), leaves, depth + 1)
            return out
    raise ArtifactError(f"unknown container {shown(description)} in the manifest; the file is damaged")


def _is_entry(part: Any) -> bool:
    return isinstance(part, list) and len(part) == 2 and type(part[0]) in (str, int)
