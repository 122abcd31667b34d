"""The report as one HTML file with its plots inside."""

import base64
import html
from typing import Any

from experiments.plots import as_png, new_figure
from experiments.report.tables import sheets, version_text

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70em; margin: 2em auto; padding: 0 1em; color: #222; }
table { border-collapse: collapse; margin: 1em 0; display: block; overflow-x: auto; }
th, td { padding: .25em .7em; text-align: right; border-bottom: 1px solid #ddd; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
img { max-width: 100%; }
.note { color: #666; }
"""


def page(report: dict[str, Any]) -> str:
    """A self-contained HTML page.

    Args:
        report: what `build` returned.

    Returns:
        The text of the page.
    """
    title = f"{report['name']}: {report['ratio']:.1f}x smaller"
    parts = [f"<h1>{html.escape(title)}</h1>"]
    for name, figure in (
        ("Size against accuracy, stage by stage", plot_stages(report)),
        ("Where the bytes are", plot_leaves(report)),
    ):
        data = base64.b64encode(figure).decode()
        parts.append(f'<h2>{name}</h2><img alt="{name}" src="data:image/png;base64,{data}">')
    for sheet in sheets(report):
        rows = ["<tr>" + "".join(f"<th>{html.escape(c)}</th>" for c in sheet.columns) + "</tr>"]
        rows += ["<tr>" + "".join(f"<td>{html.escape(c)}</td>" for c in row) + "</tr>" for row in sheet.rows]
        parts.append(f"<h2>{sheet.title}</h2><table>{''.join(rows)}</table><p class=note>{html.escape(sheet.note)}</p>")
    parts.append(
        f"<p class=note>Made by <code>{html.escape(report['command'])}</code> with "
        f"{html.escape(version_text(report['versions']))} on {html.escape(report['machine'])}.</p>"
    )
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{html.escape(title)}</title>"
        f"<style>{STYLE}</style><body>{''.join(parts)}</body></html>\n"
    )


def plot_stages(report: dict[str, Any]) -> bytes:
    """Test accuracy over file bytes, one point per stage.

    Args:
        report: what `build` returned.

    Returns:
        A PNG image.
    """
    figure = new_figure(7, 4)
    axes = figure.subplots()
    sizes = [stage["file_bytes"] for stage in report["stages"]]
    scores = [100 * stage["accuracy"] for stage in report["stages"]]
    axes.plot(sizes, scores, "o-", color="#888", markerfacecolor="#1f6feb", markeredgecolor="#1f6feb")
    for i in range(len(sizes)):
        # Numbers at alternating heights, because late stages are close together.
        axes.annotate(str(i + 1), (sizes[i], scores[i]), textcoords="offset points", ha="center",
                      xytext=(0, (8, -16, 20, -28)[i % 4]), fontsize=9)  # fmt: skip
    names = "   ".join(f"{i + 1} {stage['stage']}" for i, stage in enumerate(report["stages"]))
    axes.set_title(names, fontsize=10)
    low, high = (100 * x for x in report["accuracy"]["interval"]["dense"])
    axes.axhspan(low, high, color="#1f6feb", alpha=0.08, label="95 % interval of the dense network")
    axes.set(xscale="log", xlabel="file bytes", ylabel="test accuracy, %")
    axes.legend(fontsize=9, loc="lower right")
    axes.grid(alpha=0.3)
    return as_png(figure)


def plot_leaves(report: dict[str, Any]) -> bytes:
    """Bytes of each leaf as float32, packed, and in the file.

    Args:
        report: what `build` returned.

    Returns:
        A PNG image.
    """
    leaves = [leaf for leaf in report["leaves"] if leaf["method"] != "overhead"]
    figure = new_figure(7, 1 + 0.5 * len(leaves))
    axes = figure.subplots()
    for offset, key, color in (
        (0.27, "float32_bytes", "#bbb"),
        (0, "packed_bytes", "#79a8e6"),
        (-0.27, "file_bytes", "#1f6feb"),
    ):
        places = [len(leaves) - 1 - i + offset for i in range(len(leaves))]
        axes.barh(places, [leaf[key] or 0 for leaf in leaves], 0.26, color=color, label=key.removesuffix("_bytes"))
    axes.set(xscale="log", xlabel="bytes", yticks=range(len(leaves) - 1, -1, -1))
    axes.set_yticklabels([leaf["path"] for leaf in leaves])
    axes.legend(fontsize=9)
    axes.grid(axis="x", alpha=0.3)
    return as_png(figure)
