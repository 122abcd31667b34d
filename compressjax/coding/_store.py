"""Files on disk: read with care, and written whole or not at all."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from compressjax.coding._errors import ArtifactError
from compressjax.coding._frame import HEADER_BYTES, check_header
from compressjax.coding._whole import flush_folder, replace_file


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


def store(path: str | os.PathLike[str], data: bytes) -> None:
    """Writes a file atomically: to a temporary file in its directory, flushed and renamed.

    A symbolic link stays, and its target is written. A file that is replaced passes its mode on. If the directory
    cannot be flushed, as on some network file systems, the file is whole all the same.
    """
    target = Path(os.path.realpath(path))
    try:
        replace_file(target, data, _existing_mode(path, target))
    except (OSError, ValueError) as error:
        if isinstance(error, ArtifactError):
            raise
        reason = getattr(error, "strerror", None) or error
        raise ArtifactError(
            f"{path} cannot be written: {reason}; check that {target.parent} exists, is writable and has space"
        ) from error
    flush_folder(target.parent)


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
