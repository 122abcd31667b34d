"""Checks for bad input that would otherwise go unnoticed: non-finite weights, empty statistics."""

from collections.abc import Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def is_concrete(x: Any) -> bool:
    """Whether `x` is an array with known values."""
    return isinstance(x, np.ndarray | np.generic | jax.Array) and not isinstance(x, jax.core.Tracer)


def described(x: Any) -> str:
    """What an argument is, for messages: a function by its name, other objects by type and value."""
    if isinstance(x, type) or (callable(x) and hasattr(x, "__name__")):
        return f"the {'class' if isinstance(x, type) else 'function'} {x.__name__}"
    shown = repr(x) if isinstance(x, str | int | float | bool | None) else ""
    return " ".join(part for part in (f"a {type(x).__name__}", shown) if part)


def check_finite(who: str, path: str, x: Any, what: str = "weights", remedy: str = "fix the training first") -> None:
    """Raises on infinities and NaN, where the values are known."""
    if not is_concrete(x):
        return
    with jax.ensure_compile_time_eval():  # a constant inside a traced function is still known
        count = x.size - int(jnp.isfinite(x).sum())
    if count:
        raise ValueError(f"{who}: {path!r} has {count} non-finite {what} of {x.size}; {remedy}")


def read_statistics(who: str, needs: tuple[str, ...], paths: Iterable[str], stats: Mapping[str, Any] | None) -> Any:
    """Returns the statistics of all leaves; refuses missing ones and those that `check_statistics` refuses."""
    read = {path: (stats or {}).get(path) for path in paths}
    if missing := sorted(path for path, s in read.items() if s is None):
        raise ValueError(f"{who} reads statistics {needs}, absent for {missing[:8]}; run observe and pass stats=")
    check_statistics(who, read)
    return read


def check_statistics(who: str, stats: Mapping[str, Any], *, rows: bool = True, zeros: bool = False) -> None:
    """Raises on unusable statistics: of no rows, of zeros only, or of rows that are not finite."""
    for path, s in stats.items():
        count, squares = getattr(s, "count", None), getattr(s, "squares", None)
        check_finite(who, path, squares, "sums of squared inputs", "find the data or the layer that produces them")
        missed = np.argwhere(np.asarray(count) == 0).tolist() if rows and is_concrete(count) else []
        zero = not zeros and is_concrete(squares) and not np.any(np.asarray(squares))
        if missed or zero:
            where = f"{path!r} (layers {missed[:8]} of the stack)" if missed and missed[0] else repr(path)
            what = "no input reached" if missed else "only zeros reached"
            raise ValueError(f"{who}: {what} {where} while observing; observe other data, or leave the leaf out")
