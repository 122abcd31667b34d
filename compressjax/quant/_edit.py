"""Edits of named leaves of a tree: what pairs of layers need."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from compressjax.core import is_node, nodes
from compressjax.core._layout import layout_of
from compressjax.core._paths import map_with_path, path_string


class Edit:
    """Leaves of a tree by path, read and replaced.

    Example:
        >>> edit = Edit("example", {"a": jnp.ones(2), "b": jnp.zeros(1)})
        >>> edit["a"] = edit["a"] * 2
        >>> edit.tree()["a"].tolist()
        [2.0, 2.0]
    """

    def __init__(self, who: str, tree: Any) -> None:
        self.who, self.old, self.new = who, tree, {}  # type: tuple[str, Any, dict[str, Any]]
        self.found = nodes(tree)

    def __contains__(self, path: str) -> bool:
        return path in self.found

    def __getitem__(self, path: str) -> Any:
        if path not in self.found:
            raise ValueError(f"{self.who}: the tree has no {path!r}; it has {sorted(self.found)[:12]}")
        return self.new.get(path, self.found[path])

    def __setitem__(self, path: str, leaf: Any) -> None:
        self.new[path] = leaf

    def dense(self, path: str) -> jax.Array:
        """A leaf that must be an array."""
        x = self[path]
        if is_node(x):
            raise ValueError(f"{self.who}: {path!r} is compressed already; call {self.who} on dense parameters")
        return jnp.asarray(x)

    def outputs(self, path: str, scale: jax.Array) -> None:
        """Multiplies the outputs of a kernel, or a vector, by a scale of as many entries."""
        x = self.dense(path)
        axes = (0,) if x.ndim == 1 else layout_of(path, x.shape).outputs
        sizes = [x.shape[a] for a in axes]
        self.check(path, "writes", sizes, scale)
        block = jnp.expand_dims(scale.reshape(sizes), tuple(a for a in range(x.ndim) if a not in axes))
        self[path] = (x * block).astype(x.dtype)

    def check(self, path: str, what: str, sizes: list[int], scale: jax.Array) -> None:
        """Refuses a leaf whose number of channels differs from that of its partner."""
        count = 1
        for size in sizes:
            count *= size
        if count != scale.size:
            raise ValueError(f"{self.who}: {path!r} of shape {tuple(self[path].shape)} {what} {count} channels, its "
                             f"partner has {scale.size}; name the layers of one tensor")  # fmt: skip

    def tree(self) -> Any:
        """The tree with the new leaves."""
        return map_with_path(lambda path, x: self.new.get(path_string(path), x), self.old, is_leaf=is_node)


def names(given: str | tuple[str, ...] | list[str]) -> tuple[str, ...]:
    """One path or several."""
    return (given,) if isinstance(given, str) else tuple(given)


def by_path(pairs: Mapping[Any, Any]) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Pairs of groups of paths."""
    return [(names(a), names(b)) for a, b in pairs.items()]
