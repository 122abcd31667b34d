"""A report as text: one line per contender, facts under each case, bars at the end."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def render(report: Mapping[str, Any]) -> str:
    """The tables of a report.

    Args:
        report: what `harness.run` yields.

    Returns:
        Text of several lines.
    """
    machine = report["machine"]
    head = [
        f"{machine['processor']}, {machine['cores']} cores, {' '.join(machine['instructions'] or ['?'])}",
        ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
        + f", Python {machine['python']}",
        "",
    ]
    return "\n".join([*head, *timings(report["rows"], report["facts"]), *verdicts(report["bars"])])


def timings(rows: Sequence[Mapping[str, Any]], facts: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """One line per contender: median, ratio to the baseline with its interval, rate.

    Args:
        rows: the rows of a report.
        facts: the facts of each case.

    Returns:
        Aligned lines; the facts of a case follow its rows.
    """
    lines: list[tuple[str, ...]] = [("case", "contender", "median", "times faster", "interval", "rate")]
    notes: dict[int, str] = {}
    for i, row in enumerate(rows):
        first = i == 0 or rows[i - 1]["case"] != row["case"]
        last = i + 1 == len(rows) or rows[i + 1]["case"] != row["case"]
        name = row["case"] if first else ""
        if "skipped" in row:
            lines.append((name, row["contender"], "skipped", row["skipped"], "", ""))
        else:
            interval = "" if first else f"{row['ratio_low']:.2f} to {row['ratio_high']:.2f}"
            rate = _rate(row["rate"]) if "rate" in row else ""
            median = f"{row['median_ms']:.3f} ms"
            lines.append((name, row["contender"], median, f"{row['ratio']:.2f}", interval, rate))
        if last and facts.get(row["case"]):
            text = ", ".join(f"{key} {_number(value)}" for key, value in facts[row["case"]].items())
            notes[len(lines)] = f"    ({text})"
    out = []
    for i, line in enumerate(_align(lines), 1):
        out += [line, *([notes[i]] if i in notes else [])]
    return out


def verdicts(bars: Sequence[Mapping[str, Any]]) -> list[str]:
    """One line per bar: the target and the measurement.

    Args:
        bars: the bars of a report.

    Returns:
        Aligned lines, none without bars.
    """
    if not bars:
        return []
    lines = [("bar", "", "promised", "measured", "")]
    for bar in bars:
        what = f"{bar['quantity']} of {bar['contender']}" if bar["contender"] else bar["quantity"]
        lines.append((bar["case"], what, bar["bar"], _number(bar["value"]), "met" if bar["met"] else "MISSED"))
    return ["", *_align(lines)]


def _rate(value: float) -> str:
    for unit, size in (("M/s", 1e6), ("k/s", 1e3)):
        if value >= size:
            return f"{value / size:.1f} {unit}"
    return f"{value:.1f} /s"


def _number(value: Any) -> str:
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def _align(lines: Iterable[tuple[str, ...]]) -> list[str]:
    lines = list(lines)
    short = [line for line in lines if "skipped" not in line]
    widths = [max(len(line[column]) for line in short) for column in range(len(lines[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in lines]
