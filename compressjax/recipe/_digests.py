"""Checksums of a folder, in the format of `sha256sum`, so that damage is found before anything is read."""

import errno
import hashlib
import os
from pathlib import Path
from typing import NoReturn

from compressjax.recipe._files import write_file

SUMS = "SHA256SUMS"
_UNREADABLE = (errno.EIO, errno.ENOENT)


class DamagedError(ValueError):
    """A checkpoint whose files are not those that were written; the message names one of them."""


def seal(folder: Path) -> None:
    """Writes the checksums of all files in a folder into the folder."""
    write_file(folder / SUMS, _sums(folder))


def check(folder: Path) -> None:
    """Raises `DamagedError` if a file of a sealed folder differs by a bit, is missing or was added.

    The file of checksums needs no protection of its own: whatever is altered in it no longer fits the files.
    """
    try:
        held = (folder / SUMS).read_bytes()
        found = _sums(folder).encode()
    except OSError as error:
        if error.errno not in _UNREADABLE:
            raise
        if error.errno == errno.ENOENT and not (folder / SUMS).exists():
            raise DamagedError(f"{folder} has no {SUMS}: an older version wrote it, or it is damaged") from error
        raise DamagedError(f"{error.filename or folder} cannot be read ({error.strerror})") from error
    if held != found:
        before, now = _lines(held), _lines(found)
        names = [name for name in sorted(before | now) if before.get(name) != now.get(name)]
        raise DamagedError(f"{folder / (names[0] if names else SUMS)} is damaged: its bytes are not those in {SUMS}")


def _sums(folder: Path) -> str:
    lines = []
    for place in sorted(Path(root) / name for root, _, names in os.walk(folder, onerror=_give_up) for name in names):
        if place != folder / SUMS:
            with open(place, "rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            lines.append(f"{digest}  {place.relative_to(folder).as_posix()}\n")
    return "".join(lines)


def _give_up(error: OSError) -> NoReturn:
    raise error


def _lines(text: bytes) -> dict[str, str]:
    rows = (line.partition("  ") for line in text.decode(errors="replace").splitlines())
    return {name: value for value, _, name in rows}
