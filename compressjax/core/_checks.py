"""Checks for bad input that would otherwise go unnoticed: non-finite weights, empty statistics."""

from collections.abc import Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.core._unfit import UnfitError
from compressjax.numerics._counts import number_of
from compressjax.numerics._host import on_host


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
    host = on_host(x)
    if host is not None:
        count = host.size - int(np.count_nonzero(np.isfinite(host)))
    else:
        with jax.ensure_compile_time_eval():  # a constant inside a traced function is still known
            count = x.size - number_of(jnp.isfinite(x))
    if count:
        raise ValueError(f"{who}: {path!r} has {count} non-finite {what} of {x.size}; {remedy}")


def read_statistics(who: str, needs: tuple[str, ...], paths: Iterable[str], stats: Mapping[str, Any] | None) -> Any:
    """Returns the statistics of all leaves; raises `UnfitError` for leaves without, and as `check_statistics`."""
    read = {path: (stats or {}).get(path) for path in paths}
    missing = sorted(path for path, s in read.items() if s is None)
    if missing and not stats:
        raise ValueError(f"{who} reads statistics {needs}, absent for {missing[:8]}; run observe and pass stats=")
    if missing:
        unread = f"no product of the observed function reads it, so it has no statistics {needs}"
        inside = f"it is in a node, and statistics {needs} are of dense leaves; compress the dense tree with sequence"
        leaves = tuple(f"{path}/" for path in stats or ())
        raise UnfitError(who, {path: inside if path.startswith(leaves) else unread for path in missing})
    check_statistics(who, read)
    return read


def check_statistics(who: str, stats: Mapping[str, Any], *, rows: bool = True, zeros: bool = False) -> None:
    """Raises on rows that are not finite, and `UnfitError` for statistics of no rows or of zeros only."""
    reasons = {}
    for path, s in stats.items():
        count, squares = getattr(s, "count", None), getattr(s, "squares", None)
        check_finite(who, path, squares, "sums of squared inputs", "find the data or the layer that produces them")
        missed = np.argwhere(np.asarray(count) == 0).tolist() if rows and is_concrete(count) else []
        zero = not zeros and is_concrete(squares) and not np.any(np.asarray(squares))
        if missed or zero:
            where = f"layers {missed[:8]} of its stack" if missed and missed[0] else "it"
            what = "no input reached" if missed else "only zeros reached"
            reasons[path] = f"{what} {where} while observing; observe more data"
    if reasons:
        raise UnfitError(who, reasons)
