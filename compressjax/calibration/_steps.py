"""The steps of a calibration: which leaves are compressed together, and in which order."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from compressjax.calibration._survey import Traced
from compressjax.core import Selector, matches
from compressjax.core._select import listing, shown

Step = tuple[str, ...]


def steps(
    leaves: Mapping[str, Any], owner: Mapping[str, str], lines: Sequence[Traced], order: Iterable[Selector] | None,
    together: Iterable[Selector],
) -> list[Step]:  # fmt: skip
    """Groups leaves whose products read the same array, and leaves of one selector of `together`, in order.

    `owner` is for every value the leaf that holds it.
    """
    group = {path: _source(path, owner[path], lines) for path in leaves}
    for number, found in enumerate(_matched("together", together, leaves)):
        merged = {group[path] for path in found}
        group = {path: ("together", number) if g in merged else g for path, g in group.items()}
    place: dict[str, tuple[int, ...]] = {path: _place(owner[path], lines) for path in leaves}
    if order is not None:
        ranks: dict[str, int] = {}
        for number, found in enumerate(_matched("order", order, leaves)):
            for path in found:
                ranks.setdefault(path, number)
        place = {path: (ranks.get(path, len(leaves)), *at) for path, at in place.items()}
    made: dict[Any, list[str]] = {}
    for path in sorted(leaves, key=lambda path: place[path]):
        made.setdefault(group[path], []).append(path)
    return [tuple(found) for found in made.values()]


def alike(step: Step, owner: Mapping[str, str], lines: Sequence[Traced]) -> list[list[str]]:
    """The leaves of a step by their statistics, which are one and the same for those in a list."""
    found: dict[Any, list[str]] = {}
    for path in step:
        key = tuple(traced.products.rows.get(owner[path]) for traced in lines)
        found.setdefault(key if any(key) else path, []).append(path)
    return list(found.values())


def _matched(what: str, selectors: Iterable[Selector], leaves: Mapping[str, Any]) -> list[list[str]]:
    if isinstance(selectors, str):
        raise ValueError(f"calibrate: {what}={selectors!r} is one selector; give a list of them")
    found = []
    for selector in selectors:
        mine = [path for path, x in leaves.items() if matches(selector, path, x)]
        if not mine:
            raise ValueError(f"calibrate: {what}={shown(selector)} matches no leaf of the rules: {listing(leaves)}")
        found.append(mine)
    return found


def _source(path: str, leaf: str, lines: Sequence[Traced]) -> Any:
    found = tuple(traced.products.sources.get(leaf) for traced in lines)
    return path if all(source is None for source in found) else found


def _place(leaf: str, lines: Sequence[Traced]) -> tuple[int, int]:
    """The first product of a leaf, or the first equation that reads it, in the first line that has one."""
    for number, traced in enumerate(lines):
        at = traced.products.places.get(leaf, [traced.products.first.get(leaf)])[0]
        if at is not None:
            return number, at
    return len(lines), 0
