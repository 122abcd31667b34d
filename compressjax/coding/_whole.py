"""Files replaced as a whole: readers see the old bytes or the new ones."""

from __future__ import annotations

import contextlib
import errno
import os
import uuid
from collections.abc import Iterable
from pathlib import Path

# Some systems (CIFS, FUSE, some of NFS) cannot flush; what was written there is not lost for that.
_CANNOT_FLUSH = (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS)


def draft_of(place: Path) -> Path:
    """A new hidden name beside `place`; short, as the name of `place` may be the longest that is allowed."""
    return place.with_name(f".draft-{uuid.uuid4().hex[:16]}")


def replace_file(target: Path, data: bytes | Iterable[bytes], mode: int | None = None) -> None:
    """Writes a draft beside the target, flushes it, and renames it; a failure leaves the target as it was.

    `data` are the bytes, or parts of them. `mode` are permissions to set; None for those of new files.
    """
    draft = draft_of(target)
    try:
        with open(draft, "xb") as file:
            file.writelines([data] if isinstance(data, bytes) else data)
            file.flush()
            _flush(file.fileno())
        if mode is not None:
            os.chmod(draft, mode)
        os.replace(draft, target)
    finally:
        with contextlib.suppress(OSError):
            draft.unlink()


def flush_folder(folder: Path) -> None:
    """Makes renames inside a folder survive a power failure, if the system supports it."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _flush(handle: int) -> None:
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _CANNOT_FLUSH:
            raise
