"""Plots and tables of pruning reports as PNG and CSV, and shared functions for plots."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from compressjax import measure, structure


def plot_curves(true: measure.Sensitivity, estimated: measure.Sensitivity) -> bytes:
    """Loss against sparsity as PNG, one color per leaf: measured curves as lines, estimated ones dashed."""
    figure = new_figure(8.0, 4.5)
    axes = figure.add_subplot()
    for i, path in enumerate(true.losses):
        color = f"C{i % 10}"
        axes.plot(true.sparsities, true.losses[path], "o-", color=color, label=path)
        axes.plot(true.sparsities, estimated.losses[path], "x--", color=color, alpha=0.6)
    axes.axhline(true.base, color="gray", linewidth=0.8)
    axes.set(xlabel="fraction of zeros in this leaf alone", ylabel="loss (dashed: estimated)", yscale="log")
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3)
    return as_png(figure)


def plot_masks(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """Densities of the leaves per method at the highest sparsity as PNG, with the accuracy in the label.

    Args:
        rows: Rows with `method`, `sparsity`, `accuracy` and `masks`.

    Returns:
        PNG.
    """
    highest = max(row["sparsity"] for row in rows)
    shown = [row for row in rows if row["sparsity"] == highest]
    paths = list(shown[0]["masks"])
    figure = new_figure(8.0, 0.5 + 0.5 * len(shown))
    axes = figure.add_subplot()
    width = 0.8 / len(paths)
    for i, path in enumerate(paths):
        places = [len(shown) - 1 - j + 0.4 - width * (i + 0.5) for j in range(len(shown))]
        axes.barh(places, [100 * row["masks"][path]["density"] for row in shown], width, label=path)
    axes.set(xlabel=f"weights kept, percent ({100 * highest:g} % zeros in all)", yticks=range(len(shown) - 1, -1, -1))
    axes.set_yticklabels([f"{row['method']} ({100 * row['accuracy']:.1f} %)" for row in shown])
    axes.legend(fontsize=8)
    axes.grid(axis="x", alpha=0.3)
    return as_png(figure)


def plot_groups(cuts: Sequence[structure.Cut]) -> bytes:
    """Units of every changed group before and after shrinking, as PNG."""
    shown = [row for row in cuts if not row.reason]
    figure = new_figure(8.0, 1.0 + 0.35 * len(shown))
    axes = figure.add_subplot()
    places = range(len(shown) - 1, -1, -1)
    axes.barh(places, [row.units for row in shown], color="#ccc", label="before")
    axes.barh(places, [row.kept for row in shown], height=0.5, color="#1f6feb", label="after")
    axes.set(xlabel="units", yticks=places)
    axes.set_yticklabels([f"{row.group} ({row.members} axes)" for row in shown])
    axes.legend(fontsize=8)
    axes.grid(axis="x", alpha=0.3)
    return as_png(figure)


def as_csv(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table as CSV text."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
    return out.getvalue()


def new_figure(width: float, height: float) -> Any:
    """An empty matplotlib figure, its sides in inches."""
    # The object interface needs no display and no global state. Import late, because it is slow.
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained", dpi=110)


def as_png(figure: Any) -> bytes:
    """A figure as a PNG image, with the same bytes for the same figure."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def as_picture(pixels: np.ndarray, zoom: int = 2) -> bytes:
    """Pixels `[height, width, 1 or 3]`, uint8, as a PNG image, every pixel a square of `zoom` by `zoom`."""
    from matplotlib.image import imsave

    large = np.repeat(np.repeat(np.broadcast_to(pixels, (*pixels.shape[:2], 3)), zoom, 0), zoom, 1)
    buffer = io.BytesIO()
    imsave(buffer, large, format="png", metadata={"Software": None})
    return buffer.getvalue()
