"""Fitted reducers as plain trees, which files hold beside a model."""

import importlib
from collections.abc import Sequence
from typing import Any

_MARK = "fitted:"


def as_tree(fitted: Any) -> dict[str, Any]:
    """Turns what a reducer has learned into a dict of arrays that says what it is, for `artifact.save`.

    .. math:: T \\mapsto \\{\\text{"fitted:" name}: \\{field: array\\}\\}

    Args:
        fitted: From `fit`: a named tuple of arrays, or of further ones.

    Returns:
        The dict, for a place in any tree.

    Raises:
        ValueError: If it is no named tuple.

    Example:
        >>> import numpy as np
        >>> from compressjax.data import fit, select_variance
        >>> list(as_tree(fit(select_variance(), np.array([[1.0, 5.0], [2.0, 5.0]]))))
        ['fitted:Selected']
    """
    if not hasattr(fitted, "_fields"):
        raise ValueError(f"as_tree: {type(fitted).__name__} is no named tuple; give what fit returns")
    fields = {name: as_tree(part) if hasattr(part, "_fields") else part for name, part in fitted._asdict().items()}
    return {_MARK + type(fitted).__name__: fields}


def from_tree(tree: Any, *, classes: Sequence[Any] = ()) -> Any:
    """Turns every dict of `as_tree` in a tree back into what the reducer had learned. Runs under `jit`.

    .. math:: \\{\\text{"fitted:" name}: \\{field: array\\}\\} \\mapsto T

    Args:
        tree: From `artifact.load(path).tree`, or any part of it.
        classes: Named tuples of your own; those of `compressjax.data` are known.

    Returns:
        The tree with fitted reducers.

    Raises:
        ValueError: If a class is not known or has other fields.

    Example:
        >>> import numpy as np
        >>> from compressjax.data import fit, select_variance
        >>> saved = {"reducer": as_tree(fit(select_variance(), np.array([[1.0, 5.0], [2.0, 5.0]])))}
        >>> from_tree(saved)["reducer"].transform(np.array([[7.0, 8.0]])).tolist()
        [[7.0]]
    """
    if isinstance(tree, list | tuple) and not hasattr(tree, "_fields"):
        return type(tree)(from_tree(part, classes=classes) for part in tree)
    if not isinstance(tree, dict):
        return tree
    name = next(iter(tree)) if len(tree) == 1 else None
    parts = {key: from_tree(part, classes=classes) for key, part in tree.items()}
    if not isinstance(name, str) or not name.startswith(_MARK):
        return parts
    return _made(name.removeprefix(_MARK), parts[name], classes)


def _made(name: str, fields: Any, classes: Sequence[Any]) -> Any:
    """The named tuple of a class by its name."""
    own = {cls.__name__: cls for cls in classes}
    # The names of the package are those of the moment, so that no list has to follow them.
    cls: Any = own.get(name) or getattr(importlib.import_module("compressjax.data"), name, None)
    if not hasattr(cls, "_fields"):
        raise ValueError(f"from_tree: {name!r} is no fitted reducer of this version; pass its class as classes=")
    if not isinstance(fields, dict) or set(fields) != set(cls._fields):
        raise ValueError(f"from_tree: a {name} with {sorted(fields)} is not what this version knows, which has "
                         f"{sorted(cls._fields)}")  # fmt: skip
    return cls(**fields)
