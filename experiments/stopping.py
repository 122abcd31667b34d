"""Signals that end a run: loops that can save ask for them, anything else is interrupted at once."""

import contextlib
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType

# What a shell reports for a process that a signal ended.
STATUS = {signal.SIGINT: 130, signal.SIGTERM: 143}
# A launcher may send the same signal to a process and to its parent, which passes it on.
_ONCE_SECONDS = 1.0
_PATIENCE_SECONDS = 5.0


class _Asked:
    """The signal that came; whether a loop asks for it; whether the process has to end soon."""

    signal: int = 0
    loops: int = 0
    hurried: bool = False


_ASKED = _Asked()


def install() -> None:
    """Handles SIGINT and SIGTERM from now on."""
    handle()
    # Handlers wait until the main thread leaves compiled code, which may take minutes; a thread sees signals at once.
    read, write = os.pipe()
    os.set_blocking(write, False)
    signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    threading.Thread(target=_watch, args=(read,), daemon=True).start()


def handle() -> None:
    """Takes the signals, also back from a library that took them after `install`."""
    for number in STATUS:
        signal.signal(number, _receive)


@contextlib.contextmanager
def listening() -> Iterator[Callable[[], bool]]:
    """Within it, the first signal only sets a flag; gives the function that tells whether it is set.

    Raises:
        KeyboardInterrupt: At the end, if a signal came and the loop ended without an exception.
    """
    _ASKED.loops += 1
    try:
        yield lambda: _ASKED.signal != 0
    finally:
        _ASKED.loops -= 1
    # A signal that came after the loop asked for the last time.
    if _ASKED.signal:
        raise KeyboardInterrupt


def signaled() -> int:
    """The signal that came, or 0."""
    return _ASKED.signal


def follow(number: int) -> None:
    """Stops as if the signal of that number had come here, because it came to another process of the run; 0 is none."""
    _ASKED.signal = _ASKED.signal or number


def status() -> int:
    """Exit status of a process that stops: 143 after SIGTERM, 130 otherwise."""
    return STATUS.get(_ASKED.signal, STATUS[signal.SIGINT])


def unhurried() -> None:
    """Lets the process take its time to end."""
    _ASKED.hurried = False


def leave(text: str, saved: bool = False) -> None:
    """Ends the process with one line, without the interpreter's shutdown, in which XLA's threads would crash.

    Args:
        text: The line.
        saved: Whether a SIGTERM ends it well, because the launcher is to start what is saved again.
    """
    # Not `print`, which the signal may have interrupted.
    with contextlib.suppress(OSError, RuntimeError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
    _say(text)
    os._exit(0 if saved and _ASKED.signal == signal.SIGTERM else status())


def _receive(number: int, frame: FrameType | None) -> None:
    if _ASKED.signal:
        return
    _ASKED.signal = number
    if not _ASKED.loops:
        _ASKED.hurried = True
        raise KeyboardInterrupt


def _watch(read: int) -> None:
    """Says that the first signal came, and ends the process at the second, or if the first one is lost.

    XLA collects garbage in a callback that swallows exceptions, so a `KeyboardInterrupt` may never arrive.
    """
    first = 0.0
    while True:
        if not select.select([read], [], [], _PATIENCE_SECONDS)[0]:
            if _ASKED.hurried and time.monotonic() - first >= _PATIENCE_SECONDS:
                leave("stopped; what was written stays")
            continue
        number, now = os.read(read, 1)[0], time.monotonic()
        if number not in STATUS:
            continue
        if not first:
            first = now
            if _ASKED.loops:
                _say("stopping: the chunk of steps under way is finished and saved; the same again stops at once")
        elif now - first >= _ONCE_SECONDS:
            _ASKED.signal = _ASKED.signal or number
            leave("stopped at once; steps since the last checkpoint are lost")


def _say(text: str) -> None:
    # A live progress bar ends without a newline.
    with contextlib.suppress(OSError):
        os.write(2, f"\n{text}\n".encode())
