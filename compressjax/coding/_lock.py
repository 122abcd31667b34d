"""A lock on a file, which the system takes back when its owner dies, however that happens."""

import contextlib
import os
import socket
from pathlib import Path

try:
    import fcntl
except ImportError:  # the system has none (Windows)
    fcntl = None  # type: ignore[assignment]


class Lock:
    """A lock between processes and threads, for as long as they live.

    A file system without locks, or one that cannot be written, grants every lock: what it protects must also hold
    without it, only with more work done twice.

    Args:
        place: File of the lock; it stays when the lock is released.

    Example:
        >>> import tempfile
        >>> place = tempfile.mkdtemp() + "/.lock"
        >>> one, two = Lock(place), Lock(place)
        >>> one.acquire(), two.acquire(), one.release(), two.acquire()
        (True, False, None, True)
        >>> two.release()
    """

    def __init__(self, place: str | os.PathLike[str]) -> None:
        self._place = Path(place)
        self._handle: int | None = None

    def acquire(self) -> bool:
        """Takes the lock; False, at once, if another one holds it."""
        if fcntl is None or self._handle is not None:
            return True
        try:
            self._place.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(self._place, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError:
            return True
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return False
        except OSError:
            os.close(handle)
            return True
        self._handle = handle
        with contextlib.suppress(OSError):
            os.ftruncate(handle, 0)
            os.write(handle, f"process {os.getpid()} on {socket.gethostname()}".encode())
        return True

    def owner(self) -> str:
        """Who took the lock last."""
        try:
            return self._place.read_text(errors="replace").strip() or "another run"
        except OSError:
            return "another run"

    def release(self) -> None:
        """Gives the lock back, if it was taken."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
