"""What a store says of itself: one JSON file for the whole, and a journal with a line for every finished batch."""

import hashlib
import json
import math
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from compressjax.coding._whole import replace_file
from compressjax.core._checks import described

HEAD, ABOUT, JOURNAL = "background.cjx", "store.json", "parts.jsonl"
# Entries of one batch: a damaged or hostile store must not ask for more memory than its writer had.
MOST = 1 << 32
_AXES = 32


class Part(NamedTuple):
    """One batch.

    Attributes:
        positions: How many it has.
        shape: Of its positions.
        divergence: Mean KL divergence of what is stored from the teacher, in nats.
        sha256: Of its file.
    """

    positions: int
    shape: tuple[int, ...]
    divergence: float
    sha256: str


class About(NamedTuple):
    """What a store holds.

    Attributes:
        settings: `step`, `cut`, `top` and `components` of `write_teacher`.
        teacher: Digest of its parameters.
        function: Digest of its trace.
        data: Digest of every batch.
        background: SHA-256 of the file of the background.
        parts: The finished batches, by number.
    """

    settings: dict[str, Any]
    teacher: str
    function: str
    data: tuple[str, ...]
    background: str
    parts: dict[int, Part]


def read_about(folder: Path) -> About | None:
    """Reads what a store says of itself; None if there is none. Raises `ValueError` naming file and field."""
    place, journal = folder / ABOUT, folder / JOURNAL
    if not place.is_file():
        return None
    found = _parsed(place, place.read_bytes())
    settings = _field(place, found, "settings", lambda x: isinstance(x, dict), "a table")
    for name in ("step", "cut"):
        _field(place, settings, name, lambda x: _is_number(x) and x > 0, "a number above 0")
    for name in ("top", "components"):
        _field(place, settings, name, lambda x: _is_count(x, 0), "an integer of at least 0")
    texts = [_sha(place, found, name) for name in ("teacher", "function", "background")]
    data = _field(
        place, found, "data", lambda x: isinstance(x, list) and x and all(map(_is_sha, x)), "a list of digests"
    )
    about = About(settings, texts[0], texts[1], tuple(data), texts[2], {})
    lines = journal.read_bytes().split(b"\n")[:-1] if journal.is_file() else []  # what a killed writer began is no line
    for number, line in enumerate(lines, 1):
        about.parts.update([_part(journal, f"line {number}: ", line, len(data))])
    return about


def _part(place: Path, line: str, text: bytes, batches: int) -> tuple[int, Part]:
    """A line of the journal; a later line on the same batch takes the place of an earlier one."""
    found = _parsed(place, text, line)
    batch = _field(place, found, "batch", lambda x: _is_count(x, 0) and x < batches, f"below {batches}", line)
    count = _field(place, found, "positions", lambda x: _is_count(x, 1), "an integer of at least 1", line)
    shape = _field(place, found, "shape", lambda x: _is_shape(x, count), f"sizes whose product is {count}", line)
    divergence = _field(place, found, "divergence", _is_number, "a finite number", line)
    return batch, Part(count, tuple(shape), float(divergence), _sha(place, found, "sha256", line))


def begin(folder: Path, about: About) -> None:
    """Writes what a store without batches says of itself; what stood there is gone."""
    (folder / JOURNAL).unlink(missing_ok=True)
    put(folder / ABOUT, json.dumps({k: v for k, v in about._asdict().items() if k != "parts"}).encode())


def mend(folder: Path) -> None:
    """Cuts off the line that a killed writer began."""
    place = folder / JOURNAL
    if place.is_file():
        held = place.read_bytes()
        if len(held) != (whole := held.rfind(b"\n") + 1):
            os.truncate(place, whole)


def append(folder: Path, batch: int, part: Part) -> None:
    """Adds a finished batch to the journal: a line, whatever the number of batches."""
    with open(folder / JOURNAL, "ab") as file:
        file.write(json.dumps({"batch": batch, **part._asdict()}).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def put(place: Path, data: bytes) -> str:
    """Writes a file as a whole; returns its SHA-256."""
    replace_file(place, data)
    return hashlib.sha256(data).hexdigest()


def _parsed(place: Path, text: bytes, line: str = "") -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _damaged(place, f"{line}it is not JSON ({error})") from error
    if not isinstance(found, dict):
        raise _damaged(place, f"{line}it is {described(found)}, not a table")
    return found


def _field(
    place: Path, found: Mapping[str, Any], name: str, fits: Callable[[Any], Any], what: str, line: str = ""
) -> Any:
    if name not in found:
        raise _damaged(place, f"{line}{name!r} is missing")
    if not fits(found[name]):
        raise _damaged(place, f"{line}{name!r} is {described(found[name])[:80]}, not {what}")
    return found[name]


def _sha(place: Path, found: Mapping[str, Any], name: str, line: str = "") -> str:
    return str(_field(place, found, name, _is_sha, "a SHA-256 of 64 hexadecimal digits", line))


def _is_sha(x: Any) -> bool:
    return isinstance(x, str) and re.fullmatch("[0-9a-f]{64}", x) is not None


def _is_count(x: Any, least: int) -> bool:
    return isinstance(x, int) and not isinstance(x, bool) and least <= x <= MOST


def _is_number(x: Any) -> bool:
    return isinstance(x, int | float) and not isinstance(x, bool) and abs(x) < 1e9


def _is_shape(x: Any, count: int) -> bool:
    return isinstance(x, list) and len(x) <= _AXES and all(_is_count(n, 1) for n in x) and math.prod(x) == count


def _damaged(place: Path, why: str) -> ValueError:
    return ValueError(f"teacher store: {place}: {why}; the file is damaged, so delete the folder and write it again")
