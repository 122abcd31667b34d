"""Reads settings that users give: numbers of Python, NumPy and JAX alike, compressions, statistics."""

import operator
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import numpy as np

from compressjax.core._checks import described


def as_int(who: str, name: str, x: Any) -> int:
    """An integer setting; NumPy and JAX scalars count, bools, floats and strings do not."""
    try:
        if isinstance(x, bool):
            raise TypeError
        return operator.index(x)
    except (TypeError, jax.errors.JAXTypeError) as error:
        raise ValueError(f"{who}: {name} is {described(x)}; it must be an integer, such as {name}=4") from error


def as_number(who: str, name: str, x: Any) -> float:
    """A number; NumPy and JAX scalars count, bools and strings do not."""
    try:
        if isinstance(x, bool | str | bytes):
            raise TypeError
        return operator.index(x) if _is_integer(x) else float(x)
    except (TypeError, ValueError, jax.errors.JAXTypeError) as error:
        raise ValueError(f"{who}: {name} is {described(x)}; it must be a number, such as {name}=0.5") from error


def as_scalar(who: str, name: str, x: Any) -> Any:
    """A number, or a traced scalar, as a schedule gives inside of `jit`."""
    if isinstance(x, jax.core.Tracer) and x.ndim == 0:
        return x.astype(np.float32)
    return as_number(who, name, x)


def integers(who: str, **given: Any) -> Iterator[Any]:
    """Integer settings, in the order given; None stays."""
    return (None if x is None else as_int(who, name, x) for name, x in given.items())


def numbers(who: str, **given: Any) -> Iterator[Any]:
    """Settings that are numbers, in the order given; None and functions of the step stay."""
    return (x if x is None or callable(x) else as_number(who, name, x) for name, x in given.items())


def _is_integer(x: Any) -> bool:
    kind = getattr(x, "dtype", None)
    return isinstance(x, int) if kind is None else np.issubdtype(kind, np.integer)


def check_compressions(who: str, *found: Any) -> None:
    """Raises on what is no compression: a method that was not called, an optimizer, a node."""
    for x in found:
        if not (hasattr(x, "encode") and hasattr(x, "after_step")):
            remedy = "call it, as in prune.magnitude(0.5)" if callable(x) else "pass a compression"
            if hasattr(x, "update") and hasattr(x, "init"):
                remedy = "optimizers go to as_optax(compression, optimizer)"
            raise ValueError(f"{who}: {described(x)} is not a compression; {remedy}")


def check_stats(who: str, stats: Any) -> None:
    """Raises on statistics that are no mapping, such as the whole result of `observe`."""
    if stats is not None and not isinstance(stats, Mapping):
        pair = isinstance(stats, tuple) and len(stats) == 2
        raise ValueError(
            f"{who}: stats is {described(stats)}, not a mapping from value paths; "
            + ("observe returns (outputs, statistics): pass the second" if pair else "pass the statistics of observe")
        )
