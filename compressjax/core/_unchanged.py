"""Detects compressions that had no effect."""

import warnings
from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.core._checks import is_concrete
from compressjax.core._node import dense, entry_bits
from compressjax.core._tree import nodes
from compressjax.numerics._host import on_host


class UnchangedWarning(UserWarning):
    """A rule changed no value and saved no byte."""


def unchanged(before: Any, after: Any) -> frozenset[str]:
    """Leaves that are the same object, or, where values are known, have the same values in no fewer bits."""
    old, new = nodes(before), nodes(after)
    return frozenset(path for path, leaf in old.items() if path in new and _same(leaf, new[path]))


def _same(before: Any, after: Any) -> bool:
    old, new = jax.tree.leaves(before), jax.tree.leaves(after)
    one: Any = jax.tree.structure(before)
    if one == jax.tree.structure(after) and all(x is y for x, y in zip(old, new)):
        return True
    if not all(is_concrete(x) for x in (*old, *new)) or entry_bits(after) < entry_bits(before):
        return False
    with jax.ensure_compile_time_eval():
        one, two = dense(before), dense(after)
        first, second = on_host(one), on_host(two)
        if first is not None and second is not None:
            return bool(np.array_equal(first, second, equal_nan=True))
        return bool(jnp.array_equal(one, two, equal_nan=True))


def report_unchanged(name: str, paths: Iterable[str], same: frozenset[str], on_unchanged: str) -> None:
    """Raises or warns if a compression had no effect on any of its leaves."""
    if on_unchanged not in ("raise", "warn", "ignore"):
        raise ValueError(f"on_unchanged={on_unchanged!r}; use 'raise', 'warn' or 'ignore'")
    paths = list(paths)
    leaves = {path for path in paths if any(path == leaf or path.startswith(f"{leaf}/") for leaf in same)}
    if on_unchanged == "ignore" or name == "identity" or len(leaves) < len(paths):
        return
    shown = ", ".join(paths[:8]) + (f" and {len(paths) - 8} more" if len(paths) > 8 else "")
    text = (
        f"{name} changed no value and saved no byte of {shown}; use stronger settings, train with as_optax if it needs "
        'training steps, remove the rule, or accept it with on_unchanged="ignore"'
    )
    if on_unchanged == "raise":
        raise ValueError(text)
    warnings.warn(text, UnchangedWarning, stacklevel=3)
