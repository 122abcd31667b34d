"""A student that starts with some layers of its teacher."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.core import Node, is_node
from compressjax.core._paths import flatten_with_path, is_box, path_string

Keep = int | Iterable[int]


def take_layers(teacher: Any, pattern: str, keep: Keep) -> Any:
    """Returns the weights of a student that has some layers of its teacher, numbered anew; all else is copied.

    .. math:: \\theta^s_i = \\theta^t_{g(i)}, \\quad g(i) = \\lceil i\\, m / n \\rceil, \\quad i = 1, ..., n

    Args:
        teacher: Nested dictionaries of arrays and nodes, or any tree if its layers are stacked. A key may hold slashes,
            as Haiku's do: `{"mlp/layer_0": {"w": ...}}`; it stays one key.
        pattern: Regular expression for whole paths. With a group, that is the number of the layer, in a key:
            `"layer_(\\\\d+)/.*"`. Without one, arrays that it matches are stacks `[layers, ...]`, as `scan` runs them.
        keep: Number of layers, at even distances as in `even_layers`, or their positions in order: `range(0, 12, 2)`
            for every second one.

    Returns:
        The tree, with copies of the arrays, so that the student can be donated.

    Raises:
        ValueError: If the pattern matches nothing or a part of a layer, `keep` does not fit, a tree with numbered
            layers is not made of dictionaries, or a node is a stack that does not come apart.

    Example:
        >>> teacher = {f"layer_{i}": {"kernel": jnp.full((1,), i)} for i in range(4)}
        >>> {name: leaf["kernel"].item() for name, leaf in take_layers(teacher, "layer_([0-9]+)/.*", 2).items()}
        {'layer_0': 1, 'layer_1': 3}

    Source: Sanh et al., arXiv:1910.01108 (sanh2019).
    """
    try:
        found = re.compile(pattern)
    except re.error as error:
        raise ValueError(f"take_layers: pattern {pattern!r} is not a regular expression: {error}") from error
    flat, tree = flatten_with_path(teacher, is_leaf=_whole)
    paths = {path: match for keys, _ in flat if (match := found.fullmatch(path := path_string(keys)))}
    if not paths:
        known = [path_string(keys) for keys, _ in flat[:8]]
        raise ValueError(f"take_layers: pattern {pattern!r} matches no path; the tree has {known}")
    return _numbered(flat, paths, keep) if found.groups else jax.tree.unflatten(tree, _stacked(flat, set(paths), keep))


def _whole(x: Any) -> bool:
    """What is one weight: a node, or a box of Flax around an array."""
    return is_node(x) or is_box(x)


def _numbered(flat: list[tuple[Any, Any]], paths: Mapping[str, re.Match[str]], keep: Keep) -> Any:
    """Layers that are keys with numbers."""
    if other := [(path, match[1]) for path, match in paths.items() if not (match[1] or "").isdecimal()]:
        raise ValueError(f"take_layers: the group of the pattern matches {other[0][1]!r} in {other[0][0]!r}; it must "
                         "match the number alone")  # fmt: skip
    numbers = sorted({int(match[1]) for match in paths.values()})
    places = {numbers[j]: i for i, j in enumerate(_positions(keep, len(numbers)))}
    layers = {path[: match.end(1)] for path, match in paths.items()}

    made: dict[Any, Any] = {}
    for keys, leaf in flat:
        path = path_string(keys)
        if not all(isinstance(key, jax.tree_util.DictKey) for key in keys):
            raise ValueError(f"take_layers: {path} is not in nested dictionaries; give such, as nnx.to_pure_dict makes")
        names = [key.key for key in keys]
        if path in paths:
            match = paths[path]
            if int(match[1]) not in places:
                continue
            names = _renamed(names, match, places[int(match[1])])
        elif inside := [name for name in layers if re.match(rf"{re.escape(name)}(?!\d)", path)]:
            raise ValueError(f"take_layers: the pattern matches some weights of {inside[0]!r}, but not {path!r}; match "
                             "whole layers, as in 'layer_([0-9]+)/.*'")  # fmt: skip
        inner = made
        for name in names[:-1]:
            inner = inner.setdefault(name, {})
        inner[names[-1]] = _copied(leaf)
    return made


def _renamed(names: list[Any], match: re.Match[str], number: int) -> list[Any]:
    """Keys with another number in the one that holds the group; a key that is an integer stays one."""
    start = 0
    for at, name in enumerate(names):
        text = path_string((jax.tree_util.DictKey(name),))
        if start <= match.start(1) and match.end(1) <= start + len(text):
            new = text[: match.start(1) - start] + str(number) + text[match.end(1) - start :]
            return [*names[:at], new if isinstance(name, str) else type(name)(new), *names[at + 1 :]]
        start += len(text) + 1
    return names


def _stacked(flat: list[tuple[Any, Any]], paths: set[str], keep: Keep) -> list[Any]:
    """Layers that are stacked along the first axis."""
    shapes = {path: np.shape(_inside(leaf)) for keys, leaf in flat if (path := path_string(keys)) in paths}
    sizes = {shape[:1] for shape in shapes.values()}
    if len(sizes) > 1 or () in sizes:
        raise ValueError(f"take_layers: stacks of {sorted(sizes)} layers; the pattern must match arrays of one stack, "
                         "[layers, ...]")  # fmt: skip
    places = np.asarray(_positions(keep, sizes.pop()[0]))
    leaves = []
    for keys, leaf in flat:
        path = path_string(keys)
        leaves.append(_copied(_cut(path, leaf, places) if path in paths else leaf))
    return leaves


def _cut(path: str, leaf: Any, places: np.ndarray) -> Any:
    """Some layers of an array, a node, or what a box holds."""
    item = _inside(leaf)
    stack = item.stacked() if isinstance(item, Node) else item
    if stack is None:
        raise ValueError(f"take_layers: {path!r} is a {type(item).__name__} whose layers do not come apart; give "
                         "materialize(teacher), and compress the student")  # fmt: skip
    cut = jax.tree.map(lambda x: x[places], stack)
    return cut if item is leaf else jax.tree.unflatten(jax.tree.structure(leaf, is_leaf=is_node), [cut])


def _inside(leaf: Any) -> Any:
    """What a box holds, or the leaf itself."""
    return jax.tree.leaves(leaf, is_leaf=is_node)[0] if is_box(leaf) else leaf


def _copied(leaf: Any) -> Any:
    return jax.tree.map(lambda x: jnp.array(x) if hasattr(x, "dtype") else x, leaf)


def _positions(keep: Keep, layers: int) -> list[int]:
    """Positions of the kept layers, in order."""
    if isinstance(keep, int | np.integer):
        found = [-(-(i + 1) * layers // int(keep)) - 1 for i in range(int(keep))] if 0 < keep <= layers else []
    else:
        found = [int(i) for i in keep]
    if not found or found != sorted(set(found)) or not 0 <= found[0] <= found[-1] < layers:
        raise ValueError(f"take_layers: keep={keep} does not fit {layers} layers; give a number of them, or rising "
                         "positions from 0")  # fmt: skip
    return found
