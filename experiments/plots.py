"""Pictures of pruning reports, and how all pictures are made, as PNG bytes."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

from compressjax import measure


def plot_curves(true: measure.Sensitivity, estimated: measure.Sensitivity) -> bytes:
    """Loss against sparsity, one colour a leaf: what was tried as lines, estimates dashed.

    Args:
        true: by trying.
        estimated: by gradients.

    Returns:
        PNG.
    """
    figure = new_figure(8.0, 4.5)
    axes = figure.add_subplot()
    for i, path in enumerate(true.losses):
        colour = f"C{i % 10}"
        axes.plot(true.sparsities, true.losses[path], "o-", color=colour, label=path)
        axes.plot(true.sparsities, estimated.losses[path], "x--", color=colour, alpha=0.6)
    axes.axhline(true.base, color="grey", linewidth=0.8)
    axes.set(xlabel="fraction of zeros in this leaf alone", ylabel="loss (dashed: estimated)", yscale="log")
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3)
    return as_png(figure)


def plot_masks(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """Densities of the leaves for every method at the highest sparsity, with the accuracy in the label.

    Args:
        rows: with `method`, `sparsity`, `accuracy` and `masks`.

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
    axes.set(xlabel=f"weights kept, per cent ({100 * highest:g} % zeros in all)", yticks=range(len(shown) - 1, -1, -1))
    axes.set_yticklabels([f"{row['method']} ({100 * row['accuracy']:.1f} %)" for row in shown])
    axes.legend(fontsize=8)
    axes.grid(axis="x", alpha=0.3)
    return as_png(figure)


def new_figure(width: float, height: float) -> Any:
    """An empty figure.

    Args:
        width: in inches.
        height: in inches.

    Returns:
        A matplotlib `Figure`.
    """
    # The object interface needs no display and no global state; the import is slow and wanted at the end only.
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained", dpi=110)


def as_png(figure: Any) -> bytes:
    """A figure as a PNG image, the same bytes for the same figure.

    Args:
        figure: from `new_figure`.

    Returns:
        The bytes.
    """
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
