"""One short line per node: what `repr` and `print` show instead of arrays."""

from typing import Any

import jax
import numpy as np

_COUNTED = 1 << 24  # larger masks are not counted just to be printed
_WIDTH = 48


def short(x: Any) -> str:
    """A field of a node on one line; arrays by dtype and shape only."""
    try:
        if isinstance(x, type):
            return x.__name__
        if hasattr(type(x), "roles"):
            return line(x)
        if hasattr(x, "dtype") and hasattr(x, "shape"):
            return f"{x.dtype}[{','.join(map(str, x.shape))}]"
        if type(x) in (tuple, list):
            return f"({', '.join([short(part) for part in x[:4]] + ['...'] * (len(x) > 4))})"
        text = repr(x)
        if len(text) <= _WIDTH and "\n" not in text and not any(hasattr(y, "dtype") for y in jax.tree.leaves(x)):
            return text
    except Exception:  # printing must not hide the error that the user is looking for
        pass
    return type(x).__name__


def fields(node: Any) -> str:
    """The settings and arrays of a node; skips None, nodes and aligned fields, which the line shows elsewhere."""
    shown = {name: getattr(node, name) for name in node.roles if name not in node.aligned}
    return ", ".join(f"{name}={short(x)}" for name, x in shown.items() if x is not None and not _has_node(x))


def line(node: Any, *, bits: bool = False) -> str:
    """The line of a node: `Type(dense array, description, inner nodes, bits per weight)`.

    Never raises, never waits for a device, and never moves an array.
    """
    inside = {name: getattr(node, name) for name, role in node.roles.items() if role == "value"}
    inside = {name: x for name, x in inside.items() if _has_node(x)}
    try:
        head = f"{node.dtype}[{','.join(map(str, node.shape))}]"
        for name in node.aligned & set(inside):
            head = short(inside.pop(name))
        parts = [head, node.describe(), *(f"{name}={short(x)}" for name, x in inside.items())]
    except Exception:  # fields that are not arrays: shardings, vmap axes, results of tree functions
        parts = [f"{name}={short(getattr(node, name))}" for name in node.roles]
    parts += [_size(node)] if bits else []
    return f"{type(node).__name__}({', '.join(part for part in parts if part)})"


def count_nonzero(x: Any) -> int | None:
    """Number of nonzero entries; None for abstract or large arrays and those on accelerators or other hosts."""
    if isinstance(x, jax.core.Tracer) or not isinstance(x, np.ndarray | jax.Array) or x.size > _COUNTED:
        return None
    if isinstance(x, jax.Array) and (x.is_deleted() or any(d.platform != "cpu" for d in x.devices())):
        return None
    return int(np.count_nonzero(x)) if isinstance(x, np.ndarray) or x.is_fully_addressable else None


def _has_node(x: Any) -> bool:
    return hasattr(type(x), "roles") or (type(x) in (tuple, list) and any(map(_has_node, x)))


def _size(node: Any) -> str:
    try:
        masks = [x for x in jax.tree.leaves(node) if getattr(x, "dtype", None) == np.bool_]
        if any(count_nonzero(mask) is None for mask in masks):  # sizes depend on masks; counting is too slow
            return ""
        return f"{node.size_bits() / node.size:.4g} bits/weight"
    except Exception:  # abstract fields, or an empty tensor
        return ""
