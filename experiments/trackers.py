"""Where metrics go: JSON lines, TensorBoard, Weights & Biases. Their packages are imported when they are asked for."""

import json
import os
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from compressjax import recipe
from experiments import packages


class Tracker(Protocol):
    """A place for metrics; steps count over all stages."""

    def begin(self, stage: str, history: list[dict[str, float]]) -> None:
        """A stage starts, resumes or comes from the cache, with the metrics so far."""

    def add(self, stage: str, step: int, total: int, metrics: dict[str, float]) -> None:
        """Metrics of a chunk that ends at `step` of the stage, `total` of the run."""

    def end(self, stage: str, total: int, facts: dict[str, Any]) -> None:
        """Plain facts of a finished stage."""

    def close(self) -> None:
        """The run ends."""


class Lines:
    """`metrics.jsonl`, which depends on the recipe alone: a resumed run writes the lines of an uninterrupted one.

    Args:
        workdir: Folder.
    """

    def __init__(self, workdir: str) -> None:
        self._path = os.path.join(workdir, "metrics.jsonl")
        self._lines: list[str] = []
        recipe.write_file(self._path, "")

    def begin(self, stage: str, history: list[dict[str, float]]) -> None:
        """Writes the file anew, with the history."""
        self._lines += [_line(stage, record) for record in history]
        recipe.write_file(self._path, "".join(self._lines))

    def add(self, stage: str, step: int, total: int, metrics: dict[str, float]) -> None:
        """Appends a line."""
        self._lines.append(_line(stage, {"step": step, **metrics}))
        try:
            with open(self._path, "a", encoding="utf-8") as file:
                file.write(self._lines[-1])
        except OSError as error:
            raise OSError(error.errno, error.strerror, self._path) from error

    def end(self, stage: str, total: int, facts: dict[str, Any]) -> None:
        """Writes the file anew, with the facts."""
        self._lines.append(_line(stage, {"event": "end", **facts}))
        recipe.write_file(self._path, "".join(self._lines))

    def close(self) -> None:
        """Nothing is open."""


class Board:
    """TensorBoard, with the wall time.

    Args:
        workdir: Folder, in which it writes to `tensorboard`.
    """

    def __init__(self, workdir: str) -> None:
        self._board = _package("tensorboard", "tensorboardX").SummaryWriter(os.path.join(workdir, "tensorboard"))

    def begin(self, stage: str, history: list[dict[str, float]]) -> None:
        """What was before is in older files."""

    def add(self, stage: str, step: int, total: int, metrics: dict[str, float]) -> None:
        """Adds a point to every curve."""
        for name, value in metrics.items():
            self._board.add_scalar(f"train/{name}", value, total)

    def end(self, stage: str, total: int, facts: dict[str, Any]) -> None:
        """Adds the numbers among the facts."""
        for name, value in facts.items():
            if not isinstance(value, str):
                self._board.add_scalar(f"test/{name}", value, total)
        self._board.flush()

    def close(self) -> None:
        """Closes its file."""
        self._board.close()


class Wandb:
    """Weights & Biases; `WANDB_MODE=offline` keeps everything in the folder. A resumed run goes on as the same one.

    Args:
        workdir: Folder, whose path names the run.
    """

    def __init__(self, workdir: str) -> None:
        package = _package("wandb", "wandb")
        name = recipe.digest(os.path.abspath(workdir))[:16]
        self._run = package.init(project="compressjax", dir=workdir, id=name, resume="allow")

    def begin(self, stage: str, history: list[dict[str, float]]) -> None:
        """What was before was sent before."""

    def add(self, stage: str, step: int, total: int, metrics: dict[str, float]) -> None:
        """Logs the metrics of a step."""
        self._run.log({f"train/{name}": value for name, value in metrics.items()}, step=total)

    def end(self, stage: str, total: int, facts: dict[str, Any]) -> None:
        """Writes the facts into the summary."""
        self._run.summary.update({f"{stage}/{name}": value for name, value in facts.items()})

    def close(self) -> None:
        """Ends the run."""
        self._run.finish()


KINDS: dict[str, Callable[[str], Tracker]] = {"jsonl": Lines, "tensorboard": Board, "wandb": Wandb}


def check(names: Sequence[str]) -> tuple[str, ...]:
    """The names of trackers; raises `ValueError` if one is unknown or given twice."""
    for name in names:
        if name not in KINDS:
            raise ValueError(f"--trackers={','.join(names)}: there is no {name!r}; choose from {', '.join(KINDS)}")
    if len(set(names)) < len(names):
        raise ValueError(f"--trackers={','.join(names)} names one twice; remove it")
    return tuple(names)


def _package(name: str, package: str) -> Any:
    return packages.need(package, f"--trackers: {name}", f"pip install {package}, or leave it out")


def _line(stage: str, record: dict[str, Any]) -> str:
    return json.dumps({"stage": stage, **record}) + "\n"
