"""The main job as a child process, as the studies over several runs start it."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

from experiments import stopping

# What is the same for the same config, on the same machine.
COMPARED = ("model.cjx", "metrics.jsonl", "config.json")


def passed(*own: str) -> list[str]:
    """The flags of this process that the main job also accepts: all but its `own`, by name."""
    found, skip = [], False
    for word in sys.argv[1:]:
        name, equals, _ = word.lstrip("-").partition("=")
        if not skip and not (word.startswith("-") and name in own):
            found.append(word)
        # A flag's value may be the next word.
        skip = not skip and word.startswith("-") and name in own and not equals
    return found


def start(*flags: str, **options: Any) -> subprocess.Popen:
    """Starts `experiments.compress`; `options` are those of `subprocess.Popen`."""
    # The same package, whatever the current folder is.
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    command = [sys.executable, "-m", "experiments.compress", *flags]
    return subprocess.Popen(command, env={**os.environ, "PYTHONPATH": path}, **options)


def again(workdir: str, *more: str, own: Sequence[str]) -> subprocess.Popen:
    """Starts the main job in a work directory, silently, with the flags of this process but `own`, and with `more`."""
    return start(*passed("workdir", "cache", *own), f"--workdir={workdir}", *more, stdout=subprocess.DEVNULL)


def together(workdir: str, count: int, *more: str, own: Sequence[str]) -> list[subprocess.Popen]:
    """As `again`, as one run of several processes on this machine; one that is alone needs no coordinator."""
    if count == 1:
        return [again(workdir, *more, own=own)]
    shared = (f"--coordinator={free_address()}", f"--processes={count}", *more)
    return [again(workdir, *shared, f"--process={k}", own=own) for k in range(count)]


def free_address() -> str:
    """An address on this machine at which nobody listens."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        return f"localhost:{free.getsockname()[1]}"


def end(processes: Sequence[subprocess.Popen], patience: float) -> int:
    """Waits for the processes of a run that lost one, and kills those that stay; gives the number of these."""
    until = time.monotonic() + patience
    stayed = 0
    for process in processes:
        try:
            process.wait(max(until - time.monotonic(), 0))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            stayed += 1
    return stayed


def wait(*processes: subprocess.Popen) -> int:
    """Waits for children; gives the first status other than 0. A stop reaches them, and they may save first."""
    try:
        return next((status for process in processes if (status := process.wait())), 0)
    except KeyboardInterrupt:
        # Ctrl-C has reached the children, which share the terminal.
        stopping.unhurried()
        for process in processes:
            if stopping.signaled() == signal.SIGTERM:
                process.terminate()
        for process in processes:
            process.wait()
        raise


def differing(one: str, other: str) -> list[str]:
    """Names of the compared files that are not equal in two work directories, byte for byte."""
    found = []
    for name in COMPARED:
        with open(os.path.join(one, name), "rb") as a, open(os.path.join(other, name), "rb") as b:
            if a.read() != b.read():
                found.append(name)
    return found
