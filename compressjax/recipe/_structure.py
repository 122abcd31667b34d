"""A tree as JSON and a list of arrays, so that checkpoints describe themselves."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

import compressjax.tensors  # noqa: F401 - registers the nodes of compressjax
from compressjax import core
from compressjax.core._node import node_types


def pack(tree: Any) -> tuple[dict[str, Any], list[np.ndarray]]:
    """Separates the structure of a tree from its arrays.

    Args:
        tree: Nested dicts, lists, tuples, `None`, strings, numbers, arrays, random keys and nodes.

    Returns:
        The structure as JSON values, and the arrays that it refers to by position.

    Raises:
        ValueError: If the tree holds another kind of object; the message names its path.

    Example:
        >>> structure, arrays = pack({"a": np.ones(2), "b": (1, None)})
        >>> unpack(structure, arrays)["b"]
        (1, None)
    """
    arrays: list[np.ndarray] = []
    return _describe(tree, "", arrays), arrays


def unpack(structure: Mapping[str, Any], arrays: Sequence[np.ndarray]) -> Any:
    """Inverts `pack`.

    Args:
        structure: The structure from `pack`.
        arrays: The arrays from `pack`, in the same order.

    Returns:
        The tree, with NumPy arrays as leaves; random keys are JAX arrays.

    Raises:
        ValueError: If the structure names an unknown node, or an array does not fit.

    Example:
        >>> unpack(*pack([np.arange(3)]))
        [array([0, 1, 2])]
    """
    kind = structure["kind"]
    if kind == "array":
        array = np.asarray(arrays[structure["index"]], dtype=np.dtype(structure["dtype"]))
        if array.size != int(np.prod(structure["shape"], dtype=np.int64)):
            raise ValueError(
                f"stored array {structure['index']} has shape {array.shape}, its structure has "
                f"{structure['shape']}; the checkpoint is damaged, run its stage again"
            )
        return array.reshape(structure["shape"])
    if kind == "key":
        return jax.random.wrap_key_data(unpack(structure["data"], arrays), impl=structure["implementation"])
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
    if isinstance(tree, jax.Array) and jax.dtypes.issubdtype(tree.dtype, jax.dtypes.prng_key):
        data = _describe(jax.random.key_data(tree), path, arrays)
        return {"kind": "key", "implementation": str(jax.random.key_impl(tree)), "data": data}
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
    raise ValueError(f"cannot store {path or 'the tree'}: {type(tree).__name__}; convert it to a dict of arrays")


def _node_class(name: str) -> type:
    found = node_types().get(name)
    if found is None:
        raise ValueError(f"the checkpoint holds an unknown node {name!r}; import the module that declares it")
    return found
