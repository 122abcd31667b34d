"""Files written whole: into a draft beside the target, which is then renamed."""

import os
import re
import stat
from pathlib import Path

from compressjax.coding._whole import replace_file

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
    try:
        mode = target.stat().st_mode if target.exists() else None
        if mode is not None and not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            target.write_bytes(data)
            return
        replace_file(target, data, None if mode is None else stat.S_IMODE(mode))
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), os.fspath(place)) from error
