"""What the processes of a run tell one another: the first one reads and writes, the others learn what came of it."""

import contextlib
import os
import pickle
import sys
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

from compressjax import recipe
from experiments.parallel import local

_LEAST = 1024  # bytes of a message; few sizes, so that few programs are compiled


def several() -> bool:
    """Whether the run has more than one process."""
    return jax.distributed.is_initialized() and jax.process_count() > 1


def first() -> bool:
    """Whether this process writes."""
    return not several() or jax.process_index() == 0


def largest(number: int) -> int:
    """The largest of the numbers of all processes; all must ask together."""
    if not several():
        return number
    return int(np.max(multihost_utils.process_allgather(np.asarray(number))))


def told(work: Callable[[], Any]) -> Any:
    """The result of a function that the first process alone calls; all must ask together.

    Args:
        work: The function; its result can be pickled.

    Returns:
        Its result, in every process.

    Raises:
        OSError: What it raised, in every process.
        ValueError: What it raised, in every process.
    """
    if not several():
        return work()
    outcome: tuple[bool, Any] = (True, None)
    if first():
        try:
            outcome = True, work()
        except (OSError, ValueError) as error:
            outcome = False, error
    good, value = pickle.loads(_broadcast(pickle.dumps(outcome) if first() else b""))
    if not good:
        raise value
    return value


def part() -> None:
    """Leaves the other processes, after they have come here too; for ends of the process that skip Python's own."""
    if several():
        with contextlib.suppress(RuntimeError):
            jax.distributed.shutdown()


def end(status: int) -> int:
    """The exit status of this process, if it has no others; else it ends here, as Python's own end waits for them."""
    if several():
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    return status


def _broadcast(message: bytes) -> bytes:
    length = int(multihost_utils.broadcast_one_to_all(np.asarray(len(message))))
    size = max(_LEAST, 1 << (length - 1).bit_length())
    block = np.zeros(size, np.uint8)
    block[: len(message)] = np.frombuffer(message, np.uint8)
    return np.asarray(multihost_utils.broadcast_one_to_all(block))[:length].tobytes()


def store(root: str) -> recipe.Store:
    """The store of checkpoints in a folder, which only the first process touches."""
    return _Shared(root) if several() else recipe.Store(root)


class _Shared(recipe.Store):
    """A store whose every answer is the first process's."""

    def has(self, name: str) -> bool:
        return told(lambda: _own(self).has(name))

    def load(self, name: str) -> recipe.Stored:
        def read() -> Any:
            held = _own(self).load(name)
            return *recipe.pack(held.tree), held.facts

        structure, arrays, facts = told(read)
        return recipe.Stored(recipe.unpack(structure, arrays), facts)

    def begin(self, name: str, tree: Any, facts: Mapping[str, Any]) -> Any:
        whole = local(tree)
        held: list[Any] = []
        told(lambda: held.append(_own(self).begin(name, whole, facts)))
        return _Pending(held)

    def names(self, folder: str) -> list[str]:
        return told(lambda: _own(self).names(folder))

    def remove(self, name: str) -> None:
        told(lambda: _own(self).remove(name))

    def sweep(self, folder: str) -> None:
        told(lambda: _own(self).sweep(folder))

    def probe(self, folder: str) -> None:
        told(lambda: _own(self).probe(folder))

    def lock(self, folder: str) -> Any:
        return _Lock(_own(self).lock(folder))


def _own(shared: _Shared) -> recipe.Store:
    """The store itself, whose methods call one another without the other processes."""
    return recipe.Store(shared.root)


class _Pending:
    """A checkpoint that the first process writes."""

    def __init__(self, held: list[Any]) -> None:
        self._held = held

    def wait(self) -> None:
        def end() -> None:
            for pending in self._held:
                pending.wait()

        told(end)


class _Lock:
    """A lock that the first process holds for all."""

    def __init__(self, lock: recipe.Lock) -> None:
        self._lock = lock

    def acquire(self) -> bool:
        return told(self._lock.acquire)

    def owner(self) -> str:
        return told(self._lock.owner)

    def release(self) -> None:
        if first():
            self._lock.release()
