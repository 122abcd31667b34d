"""A tree as plain JSON plus a flat list of arrays, so that a checkpoint describes itself."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

import compressjax.tensors  # noqa: F401 - registers the nodes of compressjax
from compressjax import core
from compressjax.core._node import node_types


def pack(tree: Any) -> tuple[dict[str, Any], list[np.ndarray]]:
    """Separates the shape of a tree from its arrays.

    Args:
        tree: nested dicts, lists, tuples, `None`, strings, numbers, arrays and nodes.

    Returns:
        The structure as JSON values, and the arrays that it refers to by position.

    Raises:
        ValueError: when the tree holds another kind of object; the message names its path.

    Example:
        >>> structure, arrays = pack({"a": np.ones(2), "b": (1, None)})
        >>> unpack(structure, arrays)["b"]
        (1, None)
    """
    arrays: list[np.ndarray] = []
    return _describe(tree, "", arrays), arrays


def unpack(structure: Mapping[str, Any], arrays: Sequence[np.ndarray]) -> Any:
    """Inverse of `pack`.

    Args:
        structure: what `pack` returned.
        arrays: what `pack` returned, in the same order.

    Returns:
        The tree, with NumPy arrays as leaves.

    Raises:
        ValueError: when the structure names a node that nobody declared, or an array does not fit.

    Example:
        >>> unpack(*pack([np.arange(3)]))
        [array([0, 1, 2])]
    """
    kind = structure["kind"]
    if kind == "array":
        array = np.asarray(arrays[structure["index"]], dtype=np.dtype(structure["dtype"]))
        if array.size != int(np.prod(structure["shape"], dtype=np.int64)):
            raise ValueError(
                f"stored array {structure['index']} has shape {array.shape}, its structure says "
                f"{structure['shape']}; the checkpoint is damaged, delete it"
            )
        return array.reshape(structure["shape"])
    if kind == "plain":
        return structure["value"]
    if kind == "dict":
        return {key: unpack(item, arrays) for key, item in structure["items"].items()}
    if kind == "node":
        return _node_class(structure["name"])(**{key: unpack(item, arrays) for key, item in structure["items"].items()})
    items = [unpack(item, arrays) for item in structure["items"]]
    return tuple(items) if kind == "tuple" else items


def _describe(tree: Any, path: str, arrays: list[np.ndarray]) -> dict[str, Any]:
    if tree is None or isinstance(tree, (str, bool, int, float)):
        return {"kind": "plain", "value": tree}
    if isinstance(tree, (jax.Array, np.ndarray, np.generic)):
        array = np.asarray(tree)
        arrays.append(array)
        return {"kind": "array", "index": len(arrays) - 1, "dtype": array.dtype.name, "shape": list(array.shape)}
    if isinstance(tree, Mapping):
        return {"kind": "dict", "items": {key: _describe(tree[key], f"{path}/{key}", arrays) for key in tree}}
    if isinstance(tree, (list, tuple)) and not hasattr(tree, "_fields"):
        items = [_describe(item, f"{path}/{i}", arrays) for i, item in enumerate(tree)]
        return {"kind": "tuple" if isinstance(tree, tuple) else "list", "items": items}
    if isinstance(tree, core.Node):
        fields = {field: _describe(getattr(tree, field), f"{path}/{field}", arrays) for field in tree.roles}
        return {"kind": "node", "name": tree.type_name, "items": fields}
    raise ValueError(
        f"cannot store {path or 'the tree'}: a {type(tree).__name__} is neither an array, a plain container nor a "
        "node; convert it to a dict of arrays in the stage's finish"
    )


def _node_class(name: str) -> type:
    found = node_types().get(name)
    if found is None:
        raise ValueError(
            f"the checkpoint holds a node {name!r} that nobody declared; import the module that does, or delete the "
            "checkpoint"
        )
    return found
