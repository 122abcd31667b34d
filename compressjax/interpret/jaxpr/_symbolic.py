"""Symbolic sizes of exported programs: labels need a number for each position, so they take a stand-in."""

import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from jax import export

_SYMBOL = type(export.symbolic_shape("n")[0])
_STAND_IN = 251  # a prime that is no size of a weight, so that an axis of this length is taken for no other
_OPERATIONS: dict[str, Callable[..., int]] = {
    "floordiv": lambda a, b: a // b,
    "mod": lambda a, b: a % b,
    "max": max,
    "min": min,
}


def symbolic(size: Any) -> bool:
    """Whether a size is known only when an exported program runs."""
    return isinstance(size, _SYMBOL)


class _Names(dict[str, Any]):
    def __missing__(self, name: str) -> int:
        return _STAND_IN


def stand_in(size: Any) -> int:
    """A number for a size: itself, or the value of its expression where every symbol is one large prime."""
    # The printed form of a symbolic size is what `jax.export.symbolic_shape` reads: products, sums and these calls.
    return int(eval(str(size), {"__builtins__": {}}, _Names(_OPERATIONS))) if symbolic(size) else size


def _concrete(x: Any) -> Any:
    if symbolic(x):
        return stand_in(x)
    return type(x)(map(_concrete, x)) if type(x) in (tuple, list) else x


def _has_symbols(var: Any) -> bool:
    return any(symbolic(n) for n in getattr(var.aval, "shape", ()))


def with_stand_ins(eqn: Any) -> Any:
    """An equation with a number for every symbolic size of its results and parameters."""
    if not any(map(_has_symbols, (*eqn.invars, *eqn.outvars))):
        return eqn

    def typed(var: Any) -> Any:
        shape = tuple(map(stand_in, getattr(var.aval, "shape", ())))
        aval = SimpleNamespace(
            shape=shape, ndim=len(shape), size=math.prod(shape), dtype=getattr(var.aval, "dtype", None)
        )
        return SimpleNamespace(aval=aval)

    params = {name: _concrete(value) for name, value in eqn.params.items()}
    return SimpleNamespace(
        primitive=eqn.primitive, params=params, invars=[typed(v) for v in eqn.invars],
        outvars=[typed(v) for v in eqn.outvars],
    )  # fmt: skip
