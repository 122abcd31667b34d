"""What is known of the products of a leaf while it is prepared."""

import contextvars
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple


class Use(NamedTuple):
    """How a leaf is used.

    Attributes:
        rows: Fewest rows that one product of the leaf multiplies; None if not known.
        depthwise: Whether it is the kernel of depthwise convolutions, which grids run faster on CPUs.
        integers: Whether products stay those of integers where they can, also where floats are faster.
    """

    rows: int | None = None
    depthwise: bool = False
    integers: bool = False


# A context variable, because nodes prepare what they hold at any depth, and all of it has the same rows.
_CURRENT: contextvars.ContextVar[Use] = contextvars.ContextVar("products", default=Use())  # noqa: B039 - immutable


def current_use() -> Use:
    """The use of the leaf that is prepared now."""
    return _CURRENT.get()


@contextmanager
def used(use: Use) -> Iterator[None]:
    """Makes a use that of all nodes that are prepared inside."""
    token = _CURRENT.set(use)
    try:
        yield
    finally:
        _CURRENT.reset(token)
