"""Turns integer grids back into values, so that a later method can act on them."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from compressjax.core import Selector, is_node, matches, nodes
from compressjax.core._paths import flatten_with_path, path_string
from compressjax.tensors import Masked


def open_grids(tree: Any, selector: Selector) -> Any:
    """Turns integer grids (nodes without value fields) back into arrays; zeros of the grid leave the mask.

    Args:
        tree: Parameters with nodes.
        selector: Selector of the grids, by the paths of the values that they replaced.

    Returns:
        The tree.

    Raises:
        ValueError: If the selector matches no leaf.

    Example:
        >>> from compressjax.tensors import Quantized
        >>> grid = Quantized(jnp.array([0, 2], jnp.int8), jnp.array([0.5]))
        >>> open_grids({"a": Masked(grid, jnp.ones(2, bool))}, "a")["a"].mask.tolist()
        [False, True]
    """
    found: list[str] = []

    def at(path: str, node: Any) -> Any:
        if isinstance(node, Masked):
            inner = at(path, node.value)
            return node if inner is node.value else Masked(inner, jnp.asarray(node.mask) & (inner != 0))
        matched = matches(selector, path, node)
        found.extend([path] * matched)
        if not is_node(node):
            return node
        fields = [name for name, role in node.roles.items() if role == "value"]
        if not fields:
            return node.materialize() if matched else node
        return dataclasses.replace(node, **{name: at(f"{path}/{name}", getattr(node, name)) for name in fields})

    leaves, structure = flatten_with_path(tree, is_leaf=is_node)
    opened = jax.tree.unflatten(structure, [at(path_string(path), leaf) for path, leaf in leaves])
    if not found:
        raise ValueError(f"open={selector!r} matches none of {sorted(nodes(tree))}; fix or remove it")
    return opened
