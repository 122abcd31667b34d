"""Rows as aligned text, Markdown, HTML and JSON values."""

import html as markup
import math
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from compressjax.core._tree import is_value


def jsonable(x: Any) -> Any:
    """Converts a value to types of strict JSON.

    Args:
        x: Mappings, sequences, NamedTuples (as mappings), arrays, NumPy and JAX scalars, Python values.

    Returns:
        Dicts, lists, strings, booleans, None and finite numbers; infinities and NaN become `"inf"`, `"-inf"`, `"nan"`.

    Raises:
        ValueError: If a value cannot be converted.

    Example:
        >>> jsonable({"shape": (2, 3), "sqnr_db": float("inf"), "n": np.int64(4)})
        {'shape': [2, 3], 'sqnr_db': 'inf', 'n': 4}
    """
    if x is None or isinstance(x, str | bool | int):
        return x
    if isinstance(x, float):
        return float(x) if math.isfinite(x) else str(float(x))
    if isinstance(x, Mapping):
        return {str(key): jsonable(value) for key, value in x.items()}
    if isinstance(x, tuple) and hasattr(x, "_asdict"):
        return jsonable(x._asdict())
    if isinstance(x, Sequence) and not isinstance(x, bytes):
        return [jsonable(item) for item in x]
    if is_value(x):  # includes bfloat16, which is not a NumPy float
        return jsonable(np.asarray(x, np.float64).tolist())
    if isinstance(x, np.ndarray | np.generic | jax.Array) and np.dtype(x.dtype).kind in "biu":
        return jsonable(np.asarray(x).tolist())
    raise ValueError(f"{x!r} ({type(x).__name__}) is not valid JSON; give numbers, strings, arrays or mappings")


def table(rows: Sequence[Any], columns: Sequence[str] | None = None) -> str:
    """Formats rows as aligned text, with numbers aligned right.

    Args:
        rows: Mappings or NamedTuples.
        columns: Keys to show, in order; all keys of all rows when None.

    Returns:
        Lines, with column names first; empty for no rows.

    Raises:
        ValueError: If no row has one of the columns.

    Example:
        >>> table([{"path": "a", "bytes": 12}, {"path": "bc", "bytes": 3000}])
        'path  bytes\\na        12\\nbc    3,000'
    """
    names, cells, numeric = _cells(rows, columns)
    widths = [max(len(row[i]) for row in [names, *cells]) for i in range(len(names))]
    lines = [
        "  ".join(cell.rjust(w) if right else cell.ljust(w) for cell, w, right in zip(row, widths, numeric))
        for row in ([names, *cells] if names else [])
    ]
    return "\n".join(line.rstrip() for line in lines)


def markdown(rows: Sequence[Any], columns: Sequence[str] | None = None) -> str:
    """Formats rows as a Markdown table, with numbers aligned right.

    Args:
        rows: Mappings or NamedTuples.
        columns: Keys to show, in order; all keys of all rows when None.

    Returns:
        Lines; empty for no rows.

    Raises:
        ValueError: If no row has one of the columns.

    Example:
        >>> markdown([{"path": "a", "bytes": 12}])
        '| path | bytes |\\n|---|---:|\\n| a | 12 |'
    """
    names, cells, numeric = _cells(rows, columns)
    if not names:
        return ""
    rule = "|" + "|".join("---:" if right else "---" for right in numeric) + "|"
    escaped = [[cell.replace("|", "\\|").replace("\n", " ") for cell in row] for row in [names, *cells]]
    head, *body = ["| " + " | ".join(row) + " |" for row in escaped]
    return "\n".join([head, rule, *body])


def html(rows: Sequence[Any], columns: Sequence[str] | None = None) -> str:
    """Formats rows as an HTML table, with numbers aligned right.

    Args:
        rows: Mappings or NamedTuples.
        columns: Keys to show, in order; all keys of all rows when None.

    Returns:
        One `<table>` element; empty for no rows.

    Raises:
        ValueError: If no row has one of the columns.

    Example:
        >>> print(html([{"bytes": 1}]))
        <table>
        <tr><th style="text-align:right">bytes</th></tr>
        <tr><td style="text-align:right">1</td></tr>
        </table>
    """
    names, cells, numeric = _cells(rows, columns)
    styles = [f'style="text-align:{"right" if right else "left"}"' for right in numeric]
    lines = [
        "<tr>" + "".join(f"<{tag} {s}>{markup.escape(c)}</{tag}>" for c, s in zip(row, styles, strict=True)) + "</tr>"
        for tag, row in [("th", names), *(("td", row) for row in cells)]
    ]
    return "\n".join(["<table>", *lines, "</table>"]) if names else ""


def _cells(rows: Sequence[Any], columns: Sequence[str] | None) -> tuple[list[str], list[list[str]], list[bool]]:
    maps = [row if isinstance(row, Mapping) else row._asdict() for row in rows]
    present = list(dict.fromkeys(key for row in maps for key in row))
    names = present if columns is None else list(columns)
    unknown = [name for name in names if maps and name not in present]
    if unknown:
        raise ValueError(f"no row has the columns {unknown}; there are {present}")
    numeric = [_is_numeric([row.get(name) for row in maps]) for name in names]
    return (names if maps else []), [[_cell(row.get(name)) for name in names] for row in maps], numeric


def _is_numeric(column: Sequence[Any]) -> bool:
    filled = [x for x in column if x is not None and x != ""]
    return bool(filled) and all(isinstance(x, int | float | np.number) and not isinstance(x, bool) for x in filled)


def _cell(x: Any) -> str:
    if x is None:
        return ""
    if isinstance(x, int | np.integer) and not isinstance(x, bool):
        return f"{int(x):,}"
    if isinstance(x, float | np.floating):
        number = float(x)
        return f"{number:,.0f}" if 1e4 <= abs(number) < math.inf else f"{number:.4g}"
    if isinstance(x, list | tuple):
        # A shape: 3x3x64.
        return "x".join(map(str, x)) if all(isinstance(i, int) for i in x) else ", ".join(map(str, x))
    return str(x)
