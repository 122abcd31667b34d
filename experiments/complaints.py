"""Errors as one line: the file or flag, what is wrong with it, and the remedy."""

import errno
import os
from collections.abc import Mapping
from pathlib import Path

QUOTES = "\"' "
ELSEWHERE = "name a folder on another disk with {flag}"
REMEDIES = {
    errno.ENOSPC: f"free space there, or {ELSEWHERE}",
    errno.EDQUOT: f"raise the quota, or {ELSEWHERE}",
    errno.EFBIG: f"raise the limit on the size of files (ulimit -f), or {ELSEWHERE}",
    errno.EROFS: f"make it writable, or {ELSEWHERE}",
    errno.EACCES: "change its permissions, or name another folder with {flag}",
    errno.EPERM: "change its permissions, or name another folder with {flag}",
    errno.ENAMETOOLONG: "name a shorter one with {flag}",
    errno.ELOOP: "its links lead in a circle; name another folder with {flag}",
    errno.ENOENT: "name one that exists with {flag}",
    errno.ENOTDIR: "a part of it is a file; name a folder with {flag}",
    errno.EISDIR: "a folder stands where a file should be; move it away or name another folder with {flag}",
    errno.EEXIST: "a file or a link to nothing stands there; name another folder with {flag}",
    errno.ENOTEMPTY: "name another folder with {flag}",
    errno.EIO: f"the disk fails; {ELSEWHERE}",
}


def one_line(error: BaseException, folders: Mapping[str, str]) -> str:
    """An error as one line.

    Args:
        error: The error.
        folders: Folders by the flag that names them, to say which flag helps.

    Returns:
        The line, without its end.

    Example:
        >>> one_line(OSError(errno.ENOSPC, "No space left on device", "/a/b"), {"--workdir": "/a"})
        '/a/b: No space left on device; free space there, or name a folder on another disk with --workdir'
    """
    if isinstance(error, OSError) and error.errno is not None:
        return _of_system(error, folders)
    text = str(error.args[0] if isinstance(error, KeyError) and error.args else error)
    if "Traceback" in text:
        # config_flags quotes the traceback of a failing config file; its last line is the error.
        text = text.strip().splitlines()[-1].partition(": ")[2]
    elif isinstance(error, AttributeError | KeyError):
        plain = text.replace("\\n", "; ").replace("\\", "").replace("'", "")
        text = f"the config has no such field: {plain.strip(QUOTES)}"
    return " ".join(text.split())


def _of_system(error: OSError, folders: Mapping[str, str]) -> str:
    place = os.fspath(error.filename) if isinstance(error.filename, (str, os.PathLike)) else ""
    inside = [flag for flag, folder in folders.items() if folder and place.startswith(folder)]
    flag = max(inside, key=lambda flag: len(folders[flag]), default=" or ".join(folders) or "another flag")
    remedy = REMEDIES.get(error.errno or 0, f"if it stays, {ELSEWHERE}").format(flag=flag)
    what = f"{place}: " if place else ""
    for part in (place, *map(str, Path(place).parents)):
        if os.path.islink(part) and not os.path.exists(part):
            what = f"{part} is a link to {os.readlink(part)}, which does not exist: "
    return " ".join(f"{what}{error.strerror}; {remedy}".split())
