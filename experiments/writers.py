"""The metrics of stages, for every tracker that is asked for."""

from collections.abc import Sequence
from types import TracebackType
from typing import Any

from experiments import trackers


class Writers:
    """Passes the metrics of stages on to trackers.

    Args:
        workdir: Folder.
        names: Trackers, see `trackers.KINDS`.
    """

    def __init__(self, workdir: str, names: Sequence[str] = ("jsonl", "tensorboard")) -> None:
        self._trackers = [trackers.KINDS[name](workdir) for name in names]
        self._before = 0

    def __enter__(self) -> "Writers":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for tracker in self._trackers:
            tracker.close()

    def begin(self, stage: str, history: list[dict[str, float]]) -> None:
        """The history of a stage that starts, resumes or comes from the cache."""
        for tracker in self._trackers:
            tracker.begin(stage, history)

    def add(self, stage: str, step: int, metrics: dict[str, float]) -> None:
        """The metrics of a chunk of steps."""
        for tracker in self._trackers:
            tracker.add(stage, step, self._before + step, metrics)

    def end(self, stage: str, steps: int, facts: dict[str, Any]) -> None:
        """The facts of a finished stage."""
        self._before += steps
        plain = {name: value for name, value in facts.items() if _plain(value)}
        for tracker in self._trackers:
            tracker.end(stage, self._before, plain)


def _plain(value: Any) -> bool:
    return isinstance(value, (str, int, float)) and not isinstance(value, bool)
