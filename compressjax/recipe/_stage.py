"""A stage: a named, pure step of a recipe, identified by its settings."""

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from compressjax.recipe._store import Stored

Metrics = dict[str, float]
Previous = Mapping[str, Stored]

# Names are parts of paths, of which a system may allow 143 bytes, and a key of 17 follows.
_NAME = re.compile(r"\w[\w.+=,-]*")
_LONGEST = 100


class DivergedError(ValueError):
    """A training run whose numbers are no longer finite; the message says at which step, and where.

    `Stage.advance` raises it before the state is saved, and `run` adds the last state that is on disk.
    """


def check_name(name: str, where: str) -> None:
    """Raises `ValueError` if a stage's name cannot be a folder's."""
    if not _NAME.fullmatch(name) or len(name.encode()) > _LONGEST:
        raise ValueError(
            f"{where}: the label {name!r} names a folder; use letters, digits, '_', '-', and '.', "
            f"of at most {_LONGEST} bytes"
        )


class Stage(NamedTuple):
    """A stage: `context, state = start(previous)`, `advance` per chunk of steps, then `finish`.

    The settings must name everything that the functions depend on, besides `previous` and the data, because the cache
    key follows from them. Only the state is checkpointed; a resumed run rebuilds the context (frozen arrays, a
    teacher).

    Attributes:
        name: Unique within the recipe: letters, digits, `_`, `-` and `.`, as it names a folder.
        settings: JSON values.
        start: `previous -> (context, state)`, deterministic; `previous` maps names of earlier stages to their results.
        finish: `(context, state) -> result`, deterministic.
        advance: `(context, state, first, count) -> (state, metrics)`, steps `first .. first + count - 1`; `None` for a
            stage without steps. It raises `DivergedError` rather than return a state that is not finite.
        steps: Number of steps, at least 0.
        chunk: Steps per call of `advance`, at least 1.
        save_every: Steps between checkpoints inside the stage; rounded up to whole chunks.

    Example:
        >>> start, finish = lambda previous: (None, 0), lambda context, n: Stored(n, {})
        >>> advance = lambda context, n, first, count: (n + count, {})
        >>> Stage("count", {"to": 4}, start, finish, advance, steps=4, chunk=3).chunks()
        [(0, 3), (3, 1)]
    """

    name: str
    settings: Any
    start: Callable[[Previous], tuple[Any, Any]]
    finish: Callable[[Any, Any], Stored]
    advance: Callable[[Any, Any, int, int], tuple[Any, Metrics]] | None = None
    steps: int = 0
    chunk: int = 50
    save_every: int = 500

    def chunks(self, done: int = 0) -> list[tuple[int, int]]:
        """First step and length of each remaining chunk; chunks do not depend on where a run was interrupted."""
        return [(first, min(self.chunk, self.steps - first)) for first in range(done, self.steps, self.chunk)]

    def saves_after(self, step: int) -> bool:
        """Whether a checkpoint is due once `step` steps are done."""
        every = -(-self.save_every // self.chunk) * self.chunk
        return step < self.steps and step % every == 0


def check_stage(stage: Stage, where: str) -> None:
    """Raises `ValueError` if a stage's name cannot be a folder's, or its steps do not come in chunks."""
    check_name(stage.name, where)
    if stage.advance is not None:
        for name in ("steps", "chunk", "save_every"):
            if getattr(stage, name) < 1:
                raise ValueError(f"{where} ({stage.name}): {name}={getattr(stage, name)} must be at least 1")
