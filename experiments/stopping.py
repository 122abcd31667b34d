"""Signals that end a run: loops that can save ask for them, anything else is interrupted at once."""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from types import FrameType

# What a shell reports for a process that a signal ended.
STATUS = {signal.SIGINT: 130, signal.SIGTERM: 143}
# A launcher may send the same signal to a process and to its parent, which passes it on.
_ONCE_SECONDS = 1.0
_ALARM_SECONDS = 5


class _Asked:
    """The signal that came, and when; and whether a loop asks for it."""

    signal: int = 0
    at: float = 0.0
    loops: int = 0


_ASKED = _Asked()


def install() -> None:
    """Handles SIGINT and SIGTERM from now on."""
    for number in STATUS:
        signal.signal(number, _receive)


@contextlib.contextmanager
def listening() -> Iterator[Callable[[], bool]]:
    """Within it, the first signal only sets a flag; gives the function that tells whether it is set."""
    _ASKED.loops += 1
    try:
        yield lambda: _ASKED.signal != 0
    finally:
        _ASKED.loops -= 1


def signaled() -> int:
    """The signal that came, or 0."""
    return _ASKED.signal


def status() -> int:
    """Exit status of a process that stops: 143 after SIGTERM, 130 otherwise."""
    return STATUS.get(_ASKED.signal, STATUS[signal.SIGINT])


def disarm() -> None:
    """Gives the process time to end in its own way."""
    signal.alarm(0)


def leave(text: str) -> None:
    """Ends the process with one line, without the interpreter's shutdown, in which XLA's threads would crash."""
    # A live progress bar ends without a newline. Not `print`: a handler may have interrupted one.
    with contextlib.suppress(OSError, RuntimeError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
    _say(f"\n{text}\n")
    os._exit(status())


def _receive(number: int, frame: FrameType | None) -> None:
    now = time.monotonic()
    if _ASKED.signal:
        if now - _ASKED.at >= _ONCE_SECONDS:
            leave("stopped at once; steps since the last checkpoint are lost")
        return
    _ASKED.signal, _ASKED.at = number, now
    if _ASKED.loops:
        _say("\nstopping: the chunk of steps under way is finished and saved; the same again stops at once\n")
        return
    # XLA collects garbage in a callback that swallows exceptions; then the alarm ends the process.
    signal.signal(signal.SIGALRM, lambda *_: leave("stopped"))
    signal.alarm(_ALARM_SECONDS)
    raise KeyboardInterrupt


def _say(text: str) -> None:
    with contextlib.suppress(OSError):
        os.write(2, text.encode())
