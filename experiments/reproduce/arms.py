"""Arms of a study at equal bytes: the best setting of each arm whose file fits, by the error on held-out rows."""

import statistics
from collections.abc import Mapping
from typing import Any

from experiments import limits
from experiments.plots import as_png, new_figure
from experiments.reproduce.table import Results, spread

DATA, MODEL, JOINT = "data alone", "model alone", "joint"
ARMS = (DATA, MODEL, JOINT)
HELD, SIZE, WORK = "held-out error", "file kB", "kFLOP an example"
MODEL_LIMITS = {"sparsity": limits.Limit(0, 0.999), "bits": limits.Limit(2, 8, whole=True)}
BUDGETS = (4, 8, 16, 32, 64, 128)


def best(results: Results, arm: str, budget: float) -> str | None:
    """The setting of an arm with the least held-out error among those whose files fit for every seed, or None.

    Example:
        >>> run = {"held-out error": 9.0, "file kB": 3.0}
        >>> results = {"joint, pca 4": {0: run}, "joint, pca 8": {0: {"held-out error": 8.0, "file kB": 5.0}}}
        >>> best(results, "joint", 4), best(results, "joint", 8), best(results, "joint", 2)
        ('joint, pca 4', 'joint, pca 8', None)
    """
    fitting = [
        name
        for name, runs in results.items()
        if name.split(", ")[0] == arm and runs and max(run[SIZE] for run in runs.values()) <= budget
    ]
    return min(fitting, key=lambda name: _mean(results[name], HELD), default=None)


def at_budgets(results: Results, unit: str = "percent") -> str:
    """A Markdown table: for every budget of bytes, test error and setting of the best of each arm."""
    lines = [f"| kB | {' | '.join(ARMS)} |", "|---:|" + "---|" * len(ARMS)]
    for budget in BUDGETS:
        cells = []
        for arm in ARMS:
            name = best(results, arm, budget)
            if name is None:
                cells.append("–")
                continue
            runs = results[name].values()
            facts = f"{_mean(results[name], SIZE):.1f} kB, {_mean(results[name], WORK):.0f} kFLOP"
            cells.append(f"{spread([run['error'] for run in runs])} ({name.partition(', ')[2]}; {facts})")
        lines.append(f"| {budget} | {' | '.join(cells)} |")
    note = f"Test error in {unit}. In each arm, the setting with the least error on held-out rows among files that fit."
    return "\n".join(lines) + f"\n\n{note}\n"


def plot(results: Results, unit: str = "percent") -> bytes:
    """Test error against bytes and against operations as PNG, one color an arm; lines join the best so far."""
    figure = new_figure(9.0, 4.0)
    for axes, figure_name in zip(figure.subplots(1, 2, sharey=True), (SIZE, WORK), strict=True):
        for i, arm in enumerate(ARMS):
            points = [
                (_mean(runs, figure_name), _mean(runs, "error"))
                for name, runs in results.items()
                if name.split(", ")[0] == arm
            ]
            axes.plot(*zip(*points, strict=True), "o", color=f"C{i}", alpha=0.4, markersize=4)
            axes.step(*zip(*front(points), strict=True), color=f"C{i}", where="post", label=arm)
        axes.set(xlabel=figure_name, xscale="log")
        axes.grid(alpha=0.3)
    figure.axes[0].set_ylabel(f"test error, {unit}")
    figure.axes[0].legend(fontsize=8)
    return as_png(figure)


def front(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """The points that no other beats in both numbers, in ascending order of the first.

    Example:
        >>> front([(1.0, 5.0), (3.0, 4.0), (2.0, 6.0), (4.0, 4.5)])
        [(1.0, 5.0), (3.0, 4.0)]
    """
    found: list[tuple[float, float]] = []
    for point in sorted(points):
        if not found or point[1] < found[-1][1]:
            found.append(point)
    return found


def _mean(runs: Mapping[int, Mapping[str, Any]], figure: str) -> float:
    return statistics.fmean(run[figure] for run in runs.values())
