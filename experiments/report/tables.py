"""The report as tables: on the terminal and in Markdown, from the same rows."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import rich.box
from rich.console import Console
from rich.table import Table


class Sheet(NamedTuple):
    """A table: title, names of columns, and rows of text. The first column is text, the others are numbers."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""


def sheets(report: dict[str, Any]) -> list[Sheet]:
    """The report's tables: stages, leaves, summary, certificate.

    Args:
        report: what `build` returned.

    Returns:
        The tables, in the order in which they are shown.
    """
    return [_stages(report), _leaves(report), _summary(report), _certificate(report["certificate"])]


def show(report: dict[str, Any], console: Console) -> None:
    """Prints the tables of leaves and the summary; stages are shown while they run.

    Args:
        report: what `build` returned.
        console: where.
    """
    for sheet in sheets(report)[1:]:
        table = Table(
            box=rich.box.SIMPLE_HEAD,
            title=sheet.title,
            title_justify="left",
            caption=sheet.note or None,
            caption_justify="left",
        )
        for i, name in enumerate(sheet.columns):
            table.add_column(name, justify="right" if i else "left", overflow="fold")
        for row in sheet.rows:
            table.add_row(*row)
        console.print(table)


def as_markdown(report: dict[str, Any]) -> str:
    """The report as Markdown.

    Args:
        report: what `build` returned.

    Returns:
        The text.
    """
    parts = [f"# {report['name']}: {report['ratio']:.1f}x smaller\n"]
    for sheet in sheets(report):
        lines = [
            f"## {sheet.title}\n",
            "| " + " | ".join(sheet.columns) + " |",
            "|" + "|".join(["---"] + ["---:"] * (len(sheet.columns) - 1)) + "|",
        ]
        lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in sheet.rows]
        parts.append("\n".join(lines) + (f"\n\n{sheet.note}" if sheet.note else "") + "\n")
    parts.append(f"Made by `{report['command']}` with {version_text(report['versions'])} on {report['machine']}.\n")
    return "\n".join(parts)


def version_text(versions: dict[str, str]) -> str:
    """Versions as text.

    Example:
        >>> version_text({"jax": "1", "numpy": "2"})
        'jax 1, numpy 2'
    """
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def _percent(x: float) -> str:
    return f"{100 * x:.2f} %"


def _range(x: Sequence[float]) -> str:
    return f"{100 * x[0]:.2f} – {100 * x[1]:.2f} %"


def _number(x: int | None) -> str:
    return "" if x is None else f"{x:,}"


def _stages(report: dict[str, Any]) -> Sheet:
    rows = []
    for facts in report["stages"]:
        rows.append(
            [
                facts["stage"],
                _percent(facts["accuracy"]),
                _number(facts.get("changed_predictions")),
                _percent(facts["density"]),
                _number(facts["packed_bytes"]),
                _number(facts["file_bytes"]),
                f"{facts['float32_bytes'] / facts['file_bytes']:.1f}x",
            ]
        )
    columns = ["stage", "test accuracy", "changed", "non-zero", "packed bytes", "file bytes", "ratio"]
    return Sheet("Stages", columns, rows, "Changed: test predictions that differ from the dense network's.")


def _leaves(report: dict[str, Any]) -> Sheet:
    rows = []
    for leaf in report["leaves"]:
        bits, noise = leaf["bits_per_weight"], leaf["sqnr_db"]
        rows.append(
            [
                leaf["path"],
                "x".join(map(str, leaf["shape"] or ())),
                leaf["method"],
                "" if bits is None else f"{bits:.3f}",
                _number(leaf["float32_bytes"]),
                _number(leaf["packed_bytes"]),
                _number(leaf["file_bytes"]),
                "" if noise is None else f"{noise:.1f}",
                leaf["execution"] or "",
            ]
        )
    rows.append(
        [
            "total",
            "",
            "",
            f"{32 / report['ratio']:.3f}",
            _number(report["float32_bytes"]),
            _number(sum(leaf["packed_bytes"] or 0 for leaf in report["leaves"])),
            _number(sum(leaf["file_bytes"] for leaf in report["leaves"])),
            "",
            "",
        ]
    )
    columns = ["leaf", "shape", "method", "bits/weight", "float32", "packed", "file", "SQNR dB", "ran"]
    reasons = sorted({leaf["reason"] for leaf in report["leaves"] if leaf["reason"]})
    why = f" Materialized, because: {'; '.join(reasons)}." if reasons else ""
    return Sheet(
        "Leaves",
        columns,
        rows,
        "Bytes add up to the file's length. SQNR is against the dense network's weights, fine-tuning included. What "
        f"is materialized becomes dense once, at loading.{why}",
    )


def _summary(report: dict[str, Any]) -> Sheet:
    accuracy, latency, speed = report["accuracy"], report["latency_ms"], report["speedup"]
    between = accuracy["difference"]
    rows = [
        ["bytes", _number(report["float32_bytes"]), _number(report["file_bytes"]), f"{report['ratio']:.1f}x smaller"],
        [
            "test accuracy",
            _percent(accuracy["dense"]),
            _percent(accuracy["compressed"]),
            f"{100 * (accuracy['compressed'] - accuracy['dense']):+.2f} points"
            f" ({100 * between['low']:+.2f} – {100 * between['high']:+.2f})",
        ],
        ["95 % interval", _range(accuracy["interval"]["dense"]), _range(accuracy["interval"]["compressed"]), "Wilson"],
        ["changed predictions", "", _number(accuracy["changed_predictions"]), f"of {accuracy['examples']:,}"],
    ]
    for when, found in (accuracy["recovery"] or {}).items():
        rows.append([f"{when} recovery", "", _percent(found["accuracy"]), f"{found['changed_predictions']} changed"])
    for batch, dense in latency["dense"].items():
        ratio = speed[batch]
        rows.append(
            [
                f"latency, batch {batch}",
                f"{dense:.3f} ms",
                f"{latency['compressed'][batch]:.3f} ms",
                f"{ratio['value']:.2f}x ({ratio['low']:.2f} – {ratio['high']:.2f})",
            ]
        )
    memory = report["memory_bytes"]
    rows.append(
        [
            "peak memory of the program",
            _number(memory["dense"]),
            _number(memory["compressed"]),
            f"{memory['dense'] / memory['compressed']:.2f}x",
        ]
    )
    same = report["reload"]["same_predictions_as_before_saving"]
    return Sheet(
        "Summary",
        ["", "dense", "compressed", "difference"],
        rows,
        "Measured by a fresh process that read nothing but the file; its predictions are "
        f"{'the same as' if same else 'NOT the same as'} before saving.",
    )


def _certificate(found: dict[str, Any]) -> Sheet:
    if "refused" in found:
        return Sheet("Certificate", ["", ""], [["none", "no theorem holds"]], f"{found['refused']}.")
    bits, training = found["bits"], found["training"]
    rows = [
        ["error on new rows", f"at most {_percent(found['bound'])}"],
        ["confidence", _percent(found["confidence"])],
        ["says", found["says"]],
        ["error on training rows", f"{training['errors']:,} of {training['examples']:,}"],
        ["bits paid", f"{sum(bits.values()):,.0f}"],
        *([f"bits of the {name}", f"{bits[key]:,.0f}"] for name, key in
          (("file", "code"), ("end of the file", "prefix"), ("choice", "choice"))),
        *([f"{name} bound", _percent(bound)] for name, bound in found["bounds"].items()),
    ]  # fmt: skip
    return Sheet("Certificate", ["", "value"], rows, f"Assumes: {'; '.join(found['assumes'])}.")
