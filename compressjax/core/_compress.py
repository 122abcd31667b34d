"""The verb for people in a hurry."""

from collections.abc import Mapping
from typing import Any

from compressjax.core._compression import Compression
from compressjax.core._select import Selector, matches
from compressjax.core._tree import values


def compress(params: Any, rules: Mapping[Selector, Compression], stats: Any = None) -> Any:
    """Compresses the leaves that each pattern matches, without training.

    Patterns are tried in order and the first match wins. A pattern is taken literally: `".*"` means biases too.

    Args:
        params: A tree of arrays (or of nodes, whose values are then compressed further).
        rules: `{pattern: compression}`; patterns as for `only`.
        stats: Statistics from `observe`, for methods that read them.

    Returns:
        The tree, with nodes where leaves were compressed; `lift` runs it and `artifact.save` stores it.

    Raises:
        ValueError: If a pattern selects nothing, alone or because earlier patterns took all that it matches.

    Example:
        >>> import jax.numpy as jnp
        >>> from compressjax.core import identity
        >>> compress({"kernel": jnp.ones((2, 2))}, {".*kernel": identity()})["kernel"].shape
        (2, 2)
    """
    flat = values(params)
    owner: dict[str, Selector] = {}
    for pattern in rules:
        matched = [path for path, leaf in flat.items() if matches(pattern, path, leaf)]
        taken = {path: owner[path] for path in matched if path in owner}
        owner.update({path: pattern for path in matched if path not in owner})
        if len(taken) == len(matched):
            reason = f"earlier patterns took {taken}" if taken else f"the tree has {sorted(flat)}"
            raise ValueError(f"pattern {pattern!r} selects nothing: {reason}; mend the pattern or drop it")
    for pattern, compression in rules.items():
        mine = frozenset(path for path, own in owner.items() if own == pattern)
        part = compression.restrict(_member(mine))
        state = part.update(part.init(params), params, None, stats)
        params = part.encode(params, state)
    return params


def _member(paths: frozenset[str]) -> Selector:
    def chosen(path: str, leaf: Any) -> bool:
        del leaf
        return path in paths

    return chosen
