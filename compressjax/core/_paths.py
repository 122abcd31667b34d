"""Value paths of a tree: the keys that lead to an array, without those that Flax adds around it."""

from collections.abc import Callable
from typing import Any

import jax

_BOXES = {("flax", name) for name in ("Variable", "VariableState", "AxisMetadata")}


def _key(entry: Any) -> str:
    return jax.tree_util.keystr((entry,), simple=True)


def path_string(path: tuple[Any, ...]) -> str:
    """Returns the value path of a key path of `flatten_with_path`, joined by `/`."""
    return "/".join(_key(entry) for entry in path)


def is_box(x: Any) -> bool:
    """Whether Flax wrapped one array in `x`: an NNX variable, or a box of Linen such as `nn.Partitioned`.

    Told by the names of base classes, because Flax need not be installed.
    """
    return any((base.__module__.split(".")[0], base.__name__) in _BOXES for base in type(x).__mro__)


def flatten_with_path(tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> tuple[list[tuple[Any, Any]], Any]:
    """As `jax.tree_util.tree_flatten_with_path`, without the key `.value` of NNX variables and boxes of Linen.

    The path of an array is then the same in a module, its state and `nn.unbox` of it. A field `value` of any other
    container keeps its name.
    """

    def stops(x: Any) -> bool:
        return is_leaf is not None and is_leaf(x)

    parts, structure = jax.tree_util.tree_flatten_with_path(tree, is_leaf=lambda x: stops(x) or is_box(x))
    boxed = [is_box(part) and not stops(part) for _, part in parts]
    if not any(boxed):
        return parts, structure
    found: list[tuple[Any, Any]] = []
    for (path, part), opens in zip(parts, boxed, strict=True):
        inside = _inside(part, is_leaf) if opens else [((), part)]
        found.extend(((*path, *inner), leaf) for inner, leaf in inside)
    return found, jax.tree.structure(tree, is_leaf=is_leaf)


def _inside(box: Any, is_leaf: Callable[[Any], bool] | None) -> list[tuple[Any, Any]]:
    """Paths and leaves in a box, without its key; boxes of other projects may have several, which stay."""
    children = jax.tree_util.tree_flatten_with_path(box, is_leaf=lambda x: x is not box)[0]
    if children and children[0][1] is box:  # no container to JAX
        return children
    return [
        ((*(key if len(children) > 1 else ()), *inner), leaf)
        for key, child in children
        for inner, leaf in flatten_with_path(child, is_leaf)[0]
    ]


def map_with_path(f: Callable[[Any, Any], Any], tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> Any:
    """As `jax.tree_util.tree_map_with_path`, with the paths of `flatten_with_path`."""
    leaves, structure = flatten_with_path(tree, is_leaf)
    return jax.tree.unflatten(structure, [f(path, leaf) for path, leaf in leaves])
