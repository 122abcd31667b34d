"""Converts the state of a compression to a nested dict of arrays, and back."""

from collections.abc import Mapping
from typing import Any

import jax

# Key of a state that is a single array.
_WHOLE = "state"


def _names(path: tuple[Any, ...]) -> list[str]:
    return (jax.tree_util.keystr(path, simple=True, separator="/") or _WHOLE).split("/")


def to_collection(state: Any) -> dict[str, Any]:
    """Returns a state as a nested dict; fields, positions and value paths become keys."""
    collection: dict[str, Any] = {}
    for path, leaf in jax.tree_util.tree_flatten_with_path(state)[0]:
        *groups, name = _names(path)
        inner: Any = collection
        for group in groups:
            inner = inner.setdefault(group, {})
            if not isinstance(inner, dict):
                break
        if not isinstance(inner, dict) or name in inner:
            raise ValueError(f"the state has two arrays under {'/'.join([*groups, name])!r}; rename one of the leaves")
        inner[name] = leaf
    return collection


def from_collection(collection: Mapping[str, Any], template: Any, who: str) -> Any:
    """Returns the state with the arrays of `collection` and the structure of `template`."""
    leaves, structure = jax.tree_util.tree_flatten_with_path(template)
    found = []
    for path, expected in leaves:
        names = _names(path)
        inner: Any = collection
        for name in names:
            inner = inner.get(name) if isinstance(inner, Mapping) else None
        shape = None if inner is None or isinstance(inner, Mapping) else tuple(inner.shape)
        if shape != tuple(expected.shape):
            had = "nothing" if shape is None else f"an array {shape}"
            raise ValueError(
                f"{who}: the collection 'compression' holds {had} at {'/'.join(names)!r}, where the state has an array "
                f"{tuple(expected.shape)}; it belongs to another compression or model: create it with modules.attach"
            )
        found.append(inner)
    return jax.tree.unflatten(structure, found)
