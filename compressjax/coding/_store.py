"""Files on disk: read with care, and written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from pathlib import Path

from compressjax.coding._errors import ArtifactError
from compressjax.coding._frame import HEADER_BYTES, check_header


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
    # The name is short and its own, so that it fits wherever the name of the target does.
    temporary = target.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        mode = _existing_mode(path, target)
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    except (OSError, ValueError) as error:
        if isinstance(error, ArtifactError):
            raise
        raise ArtifactError(
            f"{path} cannot be written: {getattr(error, 'strerror', None) or error}; check that {target.parent} exists "
            "and is writable"
        ) from error
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            if mode is not None:
                os.chmod(temporary, mode)
        os.replace(temporary, target)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise ArtifactError(
            f"{path} cannot be written: {error.strerror or error}; free space or choose another folder"
        ) from error
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _flush_directory(target.parent)


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


def _flush_directory(folder: Path) -> None:
    if os.name != "posix":
        return
    with contextlib.suppress(OSError):
        directory = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
