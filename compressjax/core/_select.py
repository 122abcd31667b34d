"""Selectors: which values a method acts on."""

import itertools
import re
from collections.abc import Callable, Mapping
from typing import Any

from compressjax.core._layout import in_product, is_left_out
from compressjax.core._node import is_node
from compressjax.core._tree import Chosen, nodes, values

Selector = str | Callable[[str, Any], bool]


# Names of parameters that are added, or that scale single features, in the libraries of JAX and in checkpoints. A leaf
# `b` is a bias in a module, and anything at the top of a tree.
_OTHERS = re.compile(r"(bias|scale|offset|gain|gamma|beta|mean|var|variance|b\d+)|.*_(bias|mean|var|variance|average)")


def kernels(path: str, leaf: Any) -> bool:
    """Selects the weights of products by shape and name: two or more axes, and not the name of a bias or a norm.

    Of three or more axes, those of length 1 in front do not count: `[1, 1, 1, features]` is a vector. The name counts
    because attention has biases `[heads, features]`, and because loops stack biases to `[layers, features]`. A shape
    does not tell a kernel from an embedding of positions; `cj.layouts(fn)` does.

    Args:
        path: Value path.
        leaf: Array, concrete or abstract.

    Returns:
        True for kernels.

    Example:
        >>> import jax.numpy as jnp
        >>> kernels("a/bias", jnp.zeros((3, 4))), kernels("norm/w", jnp.zeros((1, 1, 4)))
        (False, False)
    """
    name = path.rsplit("/", 1)[-1]
    # `[1, n]` may be the kernel of one input.
    shape = leaf.shape if len(leaf.shape) < 3 else tuple(itertools.dropwhile(lambda n: n == 1, leaf.shape))
    return len(shape) >= 2 and not _OTHERS.fullmatch(name) and not path.endswith("/b")


def matches(selector: Selector, path: str, leaf: Any) -> bool:
    """Whether a selector matches a value.

    Args:
        selector: Regular expression for `re.fullmatch`, or `(path, leaf) -> bool`.
        path: Value path.
        leaf: Array, concrete or abstract.

    Returns:
        True when it matches.

    Raises:
        ValueError: If the string is not a regular expression.

    Example:
        >>> matches(".*kernel", "Dense_0/kernel", None)
        True
    """
    if not isinstance(selector, str):
        if not callable(selector):
            raise ValueError(f"selector {selector!r} is no selector; give a regular expression or (path, leaf) -> bool")
        return bool(selector(path, leaf))
    try:
        return re.fullmatch(selector, path) is not None
    except re.error as error:
        raise ValueError(f"selector {selector!r} is not a regular expression: {error}") from error


def selected(tree: Any, who: str, selector: Selector = kernels) -> dict[str, Any]:
    """Returns the values that a method acts on: those chosen by a rule of `partition`, or by its own selector.

    Of kernels, a traced function knows better than shapes and names which there are.
    """
    flat = values(tree)
    chosen: Selector = (lambda path, leaf: True) if isinstance(tree, Chosen) else selector

    def acts(path: str, leaf: Any) -> bool:
        traced = in_product(path) if chosen is kernels else None
        return not is_left_out(path) and (matches(chosen, path, leaf) if traced is None else traced)

    found = {path: leaf for path, leaf in flat.items() if acts(path, leaf)}
    if not found:
        raise ValueError(f"{who}: {shown(chosen)} selects nothing; {holdings(tree, flat)}")
    return found


def shown(selector: Selector) -> str:
    """A selector for messages: the quoted expression, or the name of the function."""
    return repr(selector) if isinstance(selector, str) else getattr(selector, "__name__", "function")


def holdings(tree: Any, flat: Mapping[str, Any]) -> str:
    """What a tree has, for messages: its values, or what it has in their place, and what is compressed already."""
    leaves = nodes(tree)
    found = f"the tree has {listing(flat)}"
    if not flat:
        kinds = [f"{path} ({getattr(leaf, 'dtype', type(leaf).__name__)})" for path, leaf in leaves.items()]
        found = f"values are floating-point arrays, and the tree has only {_some(kinds, 8) or 'None or nothing'}"
    packed = [f"{path} ({type(leaf).__name__})" for path, leaf in leaves.items() if is_node(leaf)]
    return f"{found}; compressed already: {_some(packed, 8)}; {_AGAIN}" if packed else found


_AGAIN = (
    "give the dense tree core.sequence(first, second), select values inside these nodes, or start from "
    "core.materialize(tree)"
)


def listing(flat: Mapping[str, Any], limit: int = 12) -> str:
    """Paths and shapes of values, for messages."""
    rows = [f"{path} {tuple(leaf.shape)}" for path, leaf in flat.items()]
    return _some(rows, limit) or "none"


def _some(rows: list[str], limit: int) -> str:
    return ", ".join(rows[:limit]) + (f" and {len(rows) - limit} more" if len(rows) > limit else "")
