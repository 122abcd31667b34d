"""Metrics on disk: JSON lines and TensorBoard."""

import json
import os
from types import TracebackType
from typing import Any

import tensorboardX

from compressjax import recipe


class Writers:
    """Writes the metrics of stages.

    `metrics.jsonl` depends only on the recipe: checkpoints hold the history, so a resumed run writes the same lines as
    an uninterrupted one. TensorBoard holds the wall time.

    Args:
        workdir: Folder.
    """

    def __init__(self, workdir: str) -> None:
        self._path = os.path.join(workdir, "metrics.jsonl")
        self._board = tensorboardX.SummaryWriter(os.path.join(workdir, "tensorboard"))
        self._lines: list[str] = []
        self._before = 0
        recipe.write_file(self._path, "")

    def __enter__(self) -> "Writers":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._board.close()

    def begin(self, stage: str, history: list[dict[str, float]]) -> None:
        """Writes the history of a stage that starts, resumes or comes from the cache."""
        self._lines += [_line(stage, record) for record in history]
        recipe.write_file(self._path, "".join(self._lines))

    def add(self, stage: str, step: int, metrics: dict[str, float]) -> None:
        """Writes the metrics of a chunk of steps."""
        self._lines.append(_line(stage, {"step": step, **metrics}))
        try:
            with open(self._path, "a", encoding="utf-8") as file:
                file.write(self._lines[-1])
        except OSError as error:
            raise OSError(error.errno, error.strerror, self._path) from error
        for name, value in metrics.items():
            self._board.add_scalar(f"train/{name}", value, self._before + step)

    def end(self, stage: str, steps: int, facts: dict[str, Any]) -> None:
        """Writes the facts of a finished stage."""
        self._before += steps
        self._lines.append(_line(stage, {"event": "end", **{k: v for k, v in facts.items() if _plain(v)}}))
        recipe.write_file(self._path, "".join(self._lines))
        for name, value in facts.items():
            if _plain(value) and not isinstance(value, str):
                self._board.add_scalar(f"test/{name}", value, self._before)
        self._board.flush()


def _plain(value: Any) -> bool:
    return isinstance(value, (str, int, float)) and not isinstance(value, bool)


def _line(stage: str, record: dict[str, Any]) -> str:
    return json.dumps({"stage": stage, **record}) + "\n"
