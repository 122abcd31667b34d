"""Terminal output of a running recipe: progress bars, and tables of before and after."""

from collections.abc import Callable
from typing import Any, NamedTuple

import rich.box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from compressjax.recipe import Advanced, Began, Event, Finished, Refused, Waiting

PIPE_WIDTH = 150


class Row(NamedTuple):
    """One line of a before/after table: a name, the key of the number, and its format."""

    name: str
    key: str
    text: Callable[[Any], str]


ROWS = (
    Row("test accuracy", "accuracy", lambda x: f"{100 * x:.2f} %"),
    Row("test loss", "loss", lambda x: f"{x:.4f}"),
    Row("changed predictions", "changed_predictions", str),
    Row("non-zero weights", "density", lambda x: f"{100 * x:.2f} %"),
    Row("packed bytes", "packed_bytes", lambda x: f"{x:,}"),
    Row("file bytes", "file_bytes", lambda x: f"{x:,}"),
)


def make_console() -> Console:
    """Standard output; wide enough for the tables if it is a file or a pipe."""
    # Without markup: a path or a pattern with brackets is text.
    console = Console(highlight=False, markup=False)
    return console if console.is_terminal else Console(highlight=False, markup=False, width=PIPE_WIDTH)


class View:
    """Shows events on a console.

    Args:
        console: where; standard output when `None`.
    """

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or make_console()
        self._progress: Progress | None = None
        self._before: dict[str, Any] = {}
        self._task: Any = None
        self._said = ""

    def show(self, event: Event) -> None:
        """Shows one event."""
        if isinstance(event, Began):
            self._open(event)
        elif isinstance(event, Waiting):
            self._wait(event)
        elif isinstance(event, Refused):
            self.console.print(f"refused: {event.reason}; {event.stage.name} is computed from what comes before it")
        elif isinstance(event, Advanced):
            text = "  ".join(f"{name} {value:.4f}" for name, value in event.metrics.items())
            self._progress.update(self._task, completed=event.step, text=text)
        elif isinstance(event, Finished):
            self.close()
            facts = event.result.facts
            self.console.print(before_after(event.stage.name, self._before, facts, event.cached))
            for note in facts.get("notes", ()):
                self.console.print(f"  {note}")
            self._before = facts

    def close(self) -> None:
        """Ends the bar, if there is one."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None

    def _wait(self, event: Waiting) -> None:
        said = f"waiting for {event.owner}, which runs {event.stage.name}"
        if said != self._said:
            self.console.print(said)
            self._said = said

    def _open(self, event: Began) -> None:
        columns = (
            TextColumn("{task.description:>10}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[text]}", markup=False),
        )
        self._progress = Progress(*columns, console=self.console)
        self._progress.start()
        self._task = self._progress.add_task(
            event.stage.name,
            total=max(event.stage.steps, 1),
            completed=event.step,
            text=f"from step {event.step}" if event.step else "",
        )


def before_after(name: str, before: dict[str, Any], after: dict[str, Any], cached: bool) -> Table:
    """Table of a stage's numbers next to those of the previous stage.

    Args:
        name: Name of the stage.
        before: Facts of the previous stage; empty for the first.
        after: Facts of the stage.
        cached: Whether the stage comes from the cache.

    Returns:
        The table.
    """
    table = Table(box=rich.box.SIMPLE_HEAD, title=f"{name}{' (cached)' if cached else ''}", title_justify="left")
    table.add_column("")
    table.add_column("before", justify="right")
    table.add_column("after", justify="right")
    for row in ROWS:
        if row.key in after:
            table.add_row(row.name, row.text(before[row.key]) if row.key in before else "–", row.text(after[row.key]))
    return table
