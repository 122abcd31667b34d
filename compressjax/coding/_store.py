"""Files on disk: read with care, and written whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from compressjax.coding._errors import ArtifactError
from compressjax.coding._frame import HEADER_BYTES, check_header
from compressjax.coding._whole import flush_folder, replace_file

_SPOOLED = 1 << 24  # bytes of sections that are held in memory


def load(path: str | os.PathLike[str]) -> memoryview:
    """Reads the bytes of a file; its header first, so that no other file is read to its end."""
    try:
        _check_kind(path, os.stat(path).st_mode, "read")
        with open(path, "rb") as file:
            length = os.fstat(file.fileno()).st_size
            head = file.read(HEADER_BYTES)
            _check(path, head, length)
            data = bytearray(length)
            data[: len(head)] = head
            filled = len(head) + file.readinto(memoryview(data)[len(head) :])
    except (OSError, ValueError) as error:
        if isinstance(error, ArtifactError):
            raise
        reason = getattr(error, "strerror", None) or error
        raise ArtifactError(f"{path} cannot be read: {reason}; check the path") from error
    except (MemoryError, OverflowError) as error:
        raise ArtifactError(f"{path} cannot be read: its {length} bytes do not fit into memory") from error
    return memoryview(data)[:filled].toreadonly()


def _check(path: str | os.PathLike[str], head: bytes, length: int) -> None:
    try:
        check_header(head, length)
    except ArtifactError as error:
        raise ArtifactError(f"{path}: {error}") from error


def store(path: str | os.PathLike[str], data: bytes | Iterable[bytes]) -> None:
    """Writes a file atomically: to a temporary file in its directory, flushed and renamed.

    A symbolic link stays, and its target is written. A file that is replaced passes its mode on. If the directory
    cannot be flushed, as on some network file systems, the file is whole all the same.
    """
    target = Path(os.path.realpath(path))
    with writing(path):
        replace_file(target, data, _existing_mode(path, target))
    flush_folder(target.parent)


@contextlib.contextmanager
def writing(path: str | os.PathLike[str]) -> Iterator[None]:
    """Names the file that an error of the system keeps from being written."""
    try:
        yield
    except (OSError, ValueError) as error:
        if isinstance(error, ArtifactError):
            raise
        reason = getattr(error, "strerror", None) or error
        folder = Path(os.path.realpath(path)).parent
        raise ArtifactError(
            f"{path} cannot be written: {reason}; check that {folder} exists, is writable and has space"
        ) from error


class Sections:
    """Sections of a file that is being written, in a file of no name beside it while they are large.

    Attributes:
        lengths: Bytes of each.
        digests: SHA-256 of each.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = path
        folder = Path(os.path.realpath(path)).parent
        self._held: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=_SPOOLED, dir=str(folder))  # noqa: SIM115 - see exit
        self.lengths: list[int] = []
        self.digests: list[bytes] = []

    def __enter__(self) -> Sections:
        """The sections; what is held is gone after the block."""
        return self

    def __exit__(self, *error: object) -> None:
        """Removes what is held."""
        self._held.close()

    def append(self, section: bytes) -> None:
        """Adds a section."""
        with writing(self._path):
            self._held.write(section)
        self.lengths.append(len(section))
        self.digests.append(hashlib.sha256(section).digest())

    def __iter__(self) -> Iterator[bytes]:
        """All sections, one by one."""
        self._held.seek(0)
        for length in self.lengths:
            yield self._held.read(length)


def _existing_mode(path: str | os.PathLike[str], target: Path) -> int | None:
    """Permissions of the file that is there; refuses what is no regular file."""
    try:
        mode = os.lstat(target).st_mode
    except FileNotFoundError:
        return None
    _check_kind(path, mode, "written")
    return stat.S_IMODE(mode)


def _check_kind(path: str | os.PathLike[str], mode: int, verb: str) -> None:
    kinds = {
        stat.S_IFDIR: "a folder", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device", stat.S_IFIFO: "a pipe",
        stat.S_IFSOCK: "a socket", stat.S_IFLNK: "a symbolic link that leads nowhere",
    }  # fmt: skip
    if not stat.S_ISREG(mode):
        kind = kinds.get(stat.S_IFMT(mode), "no file")
        raise ArtifactError(f"{path} cannot be {verb}: it is {kind}; give the path of a regular file")
