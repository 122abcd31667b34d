"""Files written whole: into a draft beside the target, which is then renamed."""

import errno
import os
import re
import stat
import uuid
from pathlib import Path

# Some systems (CIFS, FUSE, some of NFS) cannot synchronize; what was written there is not lost for that.
_CANNOT_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS)
# A drive letter has one character; `Path` turns two slashes into one.
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")


def refuse_url(place: str | os.PathLike[str], name: str) -> None:
    """Refuses a URL, of which the file system would make a local folder called `gs:`.

    Args:
        place: File or folder.
        name: What names it, such as a flag, for the message.

    Raises:
        ValueError: If `place` is a URL; the message says what helps.

    Example:
        >>> refuse_url("runs/digits", "--workdir")
    """
    if _URL.match(os.fspath(place)):
        raise ValueError(
            f"{name}={os.fspath(place)} is a URL; runs write to local or mounted folders: "
            "mount it (gcsfuse, s3fs) and name that folder, or copy the results there afterwards"
        )


def draft_of(place: Path) -> Path:
    """A new hidden name beside `place`; short, as the name of `place` may be the longest that is allowed."""
    return place.with_name(f".draft-{uuid.uuid4().hex[:16]}")


def write_file(place: str | os.PathLike[str], content: str | bytes) -> None:
    """Writes a file atomically: readers see the old content or the new one.

    A file that is replaced keeps its permissions, and a link keeps pointing at it. Devices and pipes are written to.

    Args:
        place: File to write.
        content: The new content; text is written as UTF-8.

    Raises:
        OSError: If it cannot be written; `filename` is `place`.
        ValueError: If `place` is a URL.

    Example:
        >>> import tempfile
        >>> write_file(tempfile.mkdtemp() + "/a.txt", "hello")
    """
    refuse_url(place, "the file")
    data = content.encode() if isinstance(content, str) else content
    target = Path(os.path.realpath(place))
    draft = draft_of(target)
    try:
        mode = target.stat().st_mode if target.exists() else None
        if mode is not None and not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            target.write_bytes(data)
            return
        try:
            with open(draft, "xb") as file:
                file.write(data)
                file.flush()
                _sync(file.fileno())
            if mode is not None:
                os.chmod(draft, stat.S_IMODE(mode))
            os.replace(draft, target)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), os.fspath(place)) from error


def sync_folder(folder: Path) -> None:
    """Makes renames inside `folder` survive a power failure, if the system supports it."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError:
        # The renames stand; only their order on the disk is unknown.
        return
    finally:
        os.close(handle)


def _sync(handle: int) -> None:
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _CANNOT_SYNC:
            raise
