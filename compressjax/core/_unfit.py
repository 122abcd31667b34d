"""Leaves that do not fit a method: left out and listed, or refused."""

import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

T = TypeVar("T")


class UnfitError(ValueError):
    """Some leaves do not fit a method, such as a group size that does not divide their inputs.

    Attributes:
        reasons: `{path: reason}`.
    """

    def __init__(self, who: str, reasons: Mapping[str, str]) -> None:
        self.who, self.reasons = who, dict(reasons)
        rows = [f"{path!r}: {reason}" for path, reason in self.reasons.items()]
        more = f"; and {len(rows) - 4} more" if len(rows) > 4 else ""
        remedy = "leave them out with a selector, or let compress and core.fit do so"
        super().__init__(f"{who}: {'; '.join(rows[:4])}{more}; {remedy}")


class LeftOutWarning(UserWarning):
    """A method left out leaves that do not fit it."""


def each(who: str, paths: Iterable[str], act: Callable[[str], T]) -> dict[str, T]:
    """Calls `act` for every path, and raises one `UnfitError` that names all leaves that do not fit."""
    found, reasons = {}, {}
    for path in paths:
        try:
            found[path] = act(path)
        except UnfitError as error:
            reasons.update(error.reasons)
    if reasons:
        raise UnfitError(who, reasons)
    return found


def left_out(reasons: Mapping[str, str]) -> str:
    """A table of leaves and reasons."""
    width = max(map(len, reasons), default=0)
    return "\n".join(f"  {path:<{width}}  {reason}" for path, reason in reasons.items())


def warn_left_out(reasons: Mapping[str, str], stacklevel: int = 3) -> None:
    """Lists what was left out, in one warning."""
    if reasons:
        text = f"left out {len(reasons)} leaves that do not fit (refuse them with unfit='raise'):\n{left_out(reasons)}"
        warnings.warn(text, LeftOutWarning, stacklevel=stacklevel)


def check_unfit(unfit: Any) -> None:
    """Refuses unknown settings."""
    if unfit not in ("skip", "raise"):
        raise ValueError(f"unfit={unfit!r}; use 'skip' to leave out leaves that do not fit, or 'raise'")
