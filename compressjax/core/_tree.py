"""Functions on trees of arrays and nodes: values, with_values, map_values, materialize, storage."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from compressjax.core._node import Node, dense, entry_bits, is_node
from compressjax.core._paths import flatten_with_path, map_with_path, path_string


def is_value(leaf: Any) -> bool:
    """Whether a leaf is a floating-point array, concrete or abstract."""
    return hasattr(leaf, "dtype") and hasattr(leaf, "shape") and jnp.issubdtype(leaf.dtype, jnp.floating)


@jax.tree_util.register_pytree_with_keys_class
class Chosen(dict[str, Any]):
    """Values by path that a rule of `partition` chose; a method acts on all of them.

    Attributes:
        within: The whole tree, for methods that need all of it; None inside `jit`.
    """

    def __init__(self, flat: Mapping[str, Any], within: Any = None) -> None:
        super().__init__(flat)
        self.within = within

    def tree_flatten_with_keys(self) -> tuple[Any, tuple[str, ...]]:
        """Children in the order of their paths."""
        paths = tuple(sorted(self))
        return [(jax.tree_util.DictKey(path), self[path]) for path in paths], paths

    @classmethod
    def tree_unflatten(cls, paths: tuple[str, ...], leaves: Any) -> "Chosen":
        """Values without the whole tree."""
        return cls(dict(zip(paths, leaves, strict=True)))


def whole(tree: Any) -> Any:
    """The whole tree from which a rule chose values, with those values in it; otherwise the tree itself."""
    if not isinstance(tree, Chosen) or tree.within is None:
        return tree
    return whole(with_values(tree.within, tree))


def _map_field(f: Callable[[str, Any], Any], path: str, item: Any) -> Any:
    if isinstance(item, Node):
        return _map_node(f, path, item)
    if isinstance(item, tuple):
        return tuple(_map_field(f, f"{path}/{i}", part) for i, part in enumerate(item))
    return f(path, item) if is_value(item) else item


def _map_node(f: Callable[[str, Any], Any], path: str, item: Node) -> Node:
    changes = {}
    for name, role in item.roles.items():
        if role == "value":
            inner = path if name in item.aligned else (f"{path}/{name}" if path else name)
            changes[name] = _map_field(f, inner, getattr(item, name))
    if all(new is getattr(item, name) for name, new in changes.items()):
        return item  # the same object, so that tied leaves stay tied
    changed: Any = item
    return dataclasses.replace(changed, **changes)


def map_values(f: Callable[[str, Any], Any], tree: Any) -> Any:
    """Applies `f(path, array)` to every value at any nesting depth; buffers and other leaves stay.

    Args:
        f: Function of a value path and an array; returns the new array or node.
        tree: A tree of arrays and nodes.

    Returns:
        A tree of the same containers.

    Example:
        >>> map_values(lambda path, x: x + 1, {"a": jnp.zeros(2), "n": 3})["a"].tolist()
        [1.0, 1.0]
    """

    def at(path: tuple[Any, ...], leaf: Any) -> Any:
        return _map_field(f, path_string(path), leaf)

    mapped = map_with_path(at, tree, is_leaf=is_node)
    if isinstance(tree, Chosen):
        mapped.within = tree.within
    return mapped


def values(tree: Any) -> dict[str, Any]:
    """Returns all values of a tree by path: dense floating-point arrays, and the `value` fields inside nodes.

    Args:
        tree: A tree of arrays (concrete or abstract) and nodes.

    Returns:
        `{path: array}` in tree order.

    Raises:
        ValueError: If two values share a path.

    Example:
        >>> list(values({"a": {"kernel": jnp.zeros((2, 2))}, "step": 3}))
        ['a/kernel']
    """
    found: dict[str, Any] = {}

    def keep(path: str, x: Any) -> Any:
        if path in found:
            raise ValueError(f"two values share the path {path!r}; rename one of the tree's keys")
        found[path] = x
        return x

    map_values(keep, tree)
    return found


def with_values(tree: Any, new: Mapping[str, Any]) -> Any:
    """Replaces values by arrays or nodes, by path.

    Args:
        tree: A tree of arrays and nodes.
        new: `{path: array or node}`; other paths keep their value.

    Returns:
        The changed tree.

    Raises:
        ValueError: If a path in `new` does not occur in the tree.

    Example:
        >>> with_values({"a": jnp.zeros(1)}, {"a": jnp.ones(1)})["a"].tolist()
        [1.0]

        Gradients of a tree with codes or masks, which `jax.grad` refuses to differentiate:

        >>> from compressjax.tensors import Masked
        >>> tree = {"a": Masked(jnp.array([2.0, 3.0]), jnp.array([True, False]))}
        >>> loss = lambda trained: jnp.sum(with_values(tree, trained)["a"].materialize() ** 2)
        >>> jax.grad(loss)(values(tree))["a"].tolist()
        [4.0, 0.0]
    """
    unused = set(new)

    def put(path: str, x: Any) -> Any:
        unused.discard(path)
        return new.get(path, x)

    changed = map_values(put, tree)
    if unused:
        raise ValueError(f"no value at {sorted(unused)}; the tree has {sorted(values(tree))}")
    return changed


def nodes(tree: Any) -> dict[str, Any]:
    """Returns the top-level leaves by path: one entry per array or node.

    Args:
        tree: A tree of arrays and nodes.

    Returns:
        `{path: array or node}` in tree order.

    Example:
        >>> list(nodes({"a": jnp.zeros(1)}))
        ['a']
    """
    leaves = flatten_with_path(tree, is_leaf=is_node)[0]
    return {path_string(path): leaf for path, leaf in leaves}


def materialize(tree: Any) -> Any:
    """Replaces every node by its dense array.

    Args:
        tree: A tree of arrays and nodes.

    Returns:
        The tree with dense arrays only.

    Example:
        >>> materialize({"a": 1})
        {'a': 1}
    """
    return jax.tree.map(lambda x: dense(x) if is_node(x) else x, tree, is_leaf=is_node)


def storage(tree: Any) -> dict[str, int]:
    """Returns the packed size in bits of every leaf of a tree.

    Args:
        tree: A tree of arrays and nodes.

    Returns:
        `{path: bits}`; the sum is the size of the tree before entropy coding.

    Example:
        >>> storage({"a": jnp.zeros((2, 3))})
        {'a': 192}
    """
    return {path: entry_bits(leaf) for path, leaf in nodes(tree).items() if hasattr(leaf, "dtype")}
