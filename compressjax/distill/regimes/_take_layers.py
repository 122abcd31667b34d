"""A student that starts with some layers of its teacher."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.core import nodes
from compressjax.core._paths import flatten_with_path, path_string

Keep = int | Iterable[int]


def take_layers(teacher: Any, pattern: str, keep: Keep) -> Any:
    """Returns the weights of a student that has some layers of its teacher, numbered anew; all else is copied.

    .. math:: \\theta^s_i = \\theta^t_{g(i)}, \\quad g(i) = \\lceil i\\, m / n \\rceil, \\quad i = 1, ..., n

    Args:
        teacher: Nested dictionaries of weights, or any tree if its layers are stacked.
        pattern: Regular expression for whole paths. With a group, that is the number of the layer, in a key:
            `"layer_(\\\\d+)/.*"`. Without one, arrays that it matches are stacks `[layers, ...]`, as `scan` runs them.
        keep: Number of layers, at even distances as in `even_layers`, or their positions in order: `range(0, 12, 2)`
            for every second one.

    Returns:
        The tree, with copies of the arrays, so that the student can be donated.

    Raises:
        ValueError: If the pattern matches nothing, `keep` does not fit, or a tree with numbered layers is not made of
            dictionaries.

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
    paths = {path: match for path in nodes(teacher) if (match := found.fullmatch(path))}
    if not paths:
        raise ValueError(f"take_layers: pattern {pattern!r} matches no path; the tree has {list(nodes(teacher))[:8]}")
    return _numbered(teacher, paths, keep) if found.groups else _stacked(teacher, set(paths), keep)


def _numbered(teacher: Any, paths: Mapping[str, re.Match[str]], keep: Keep) -> Any:
    """Layers that are keys with numbers."""
    if other := [match[1] for match in paths.values() if not match[1].isdecimal()]:
        raise ValueError(f"take_layers: the group of the pattern matches {other[0]!r}; it must match the number alone")
    numbers = sorted({int(match[1]) for match in paths.values()})
    places = {numbers[j]: str(i) for i, j in enumerate(_positions(keep, len(numbers)))}

    made: dict[str, Any] = {}
    for keys, leaf in flatten_with_path(teacher)[0]:
        path, names = path_string(keys), [path_string((key,)) for key in keys]
        if not all(isinstance(key, jax.tree_util.DictKey) for key in keys):
            raise ValueError(f"take_layers: {path} is not in nested dictionaries; give such, as nnx.to_pure_dict makes")
        if path in paths:
            match = paths[path]
            if int(match[1]) not in places:
                continue
            new = path[: match.start(1)] + places[int(match[1])] + path[match.end(1) :]
            names = new.split("/")
        inner = made
        for name in names[:-1]:
            inner = inner.setdefault(name, {})
        inner[names[-1]] = jnp.array(leaf)
    return made


def _stacked(teacher: Any, paths: set[str], keep: Keep) -> Any:
    """Layers that are stacked along the first axis."""
    flat, tree = flatten_with_path(teacher)
    sizes = {np.shape(leaf)[:1] for keys, leaf in flat if path_string(keys) in paths}
    if len(sizes) > 1 or () in sizes:
        raise ValueError(f"take_layers: stacks of {sorted(sizes)} layers; the pattern must match arrays of one stack, "
                         "[layers, ...]")  # fmt: skip
    places = np.asarray(_positions(keep, sizes.pop()[0]))
    leaves = [jnp.array(leaf[places] if path_string(keys) in paths else leaf) for keys, leaf in flat]
    return jax.tree.unflatten(tree, leaves)


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
