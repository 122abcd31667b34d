"""Selectors: which values a method acts on."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from compressjax.core._tree import values

Selector = str | Callable[[str, Any], bool]


def kernels(path: str, leaf: Any) -> bool:
    """Selects the weights of products: values with two or more axes that are not named bias or scale.

    The name matters because attention layers have biases `[heads, features]`.

    Args:
        path: Value path.
        leaf: Array, concrete or abstract.

    Returns:
        True when the leaf has two or more axes and the path does not end in `bias` or `scale`.

    Example:
        >>> import jax.numpy as jnp
        >>> kernels("a/bias", jnp.zeros(3))
        False
    """
    return len(leaf.shape) >= 2 and path.rsplit("/", 1)[-1] not in ("bias", "scale")


def matches(selector: Selector, path: str, leaf: Any) -> bool:
    """Whether one selector selects one value.

    Args:
        selector: Regular expression for `re.fullmatch`, or `(path, leaf) -> bool`.
        path: Value path.
        leaf: Array, concrete or abstract.

    Returns:
        True when selected.

    Raises:
        ValueError: If the string is not a regular expression.

    Example:
        >>> matches(".*kernel", "Dense_0/kernel", None)
        True
    """
    if not isinstance(selector, str):
        return bool(selector(path, leaf))
    try:
        return re.fullmatch(selector, path) is not None
    except re.error as error:
        raise ValueError(f"selector {selector!r} is not a regular expression: {error}") from error


def select(tree: Any, selectors: tuple[Selector, ...], who: str) -> tuple[str, ...]:
    """The paths of the values that every selector selects; kernels when there are no selectors.

    Args:
        tree: A tree of arrays and nodes, or a flat `{path: array}` dict.
        selectors: All of them must select a value.
        who: Name for the error message.

    Returns:
        Paths in tree order.

    Raises:
        ValueError: If nothing is selected.

    Example:
        >>> import jax.numpy as jnp
        >>> select({"kernel": jnp.zeros((2, 2)), "bias": jnp.zeros(2)}, (), "prune")
        ('kernel',)
    """
    flat = values(tree)
    chosen = tuple(
        path for path, leaf in flat.items() if all(matches(s, path, leaf) for s in (selectors or (kernels,)))
    )
    if not chosen:
        asked = [s if isinstance(s, str) else getattr(s, "__name__", "function") for s in selectors or (kernels,)]
        raise ValueError(f"{who}: {asked} selects nothing; the tree has these values: {_listing(flat)}")
    return chosen


def _listing(flat: Mapping[str, Any], limit: int = 12) -> str:
    rows = [f"{path} {tuple(leaf.shape)}" for path, leaf in flat.items()]
    more = f" and {len(rows) - limit} more" if len(rows) > limit else ""
    return (", ".join(rows[:limit]) or "none") + more
