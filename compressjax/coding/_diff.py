"""What changed between two files, leaf by leaf."""

from __future__ import annotations

import os
from typing import Any, NamedTuple

import numpy as np

from compressjax.coding._errors import ArtifactError, UnknownNode
from compressjax.coding._leaves import Leaves
from compressjax.coding._materialize import materialize


class DiffRow(NamedTuple):
    """One leaf of two files.

    Attributes:
        path: Value path, or `"(header)"` and the like for other parts of the files.
        nodes: Node types in both files; None where a file lacks the leaf.
        shapes: Dense shapes in both files.
        file_bytes: Bytes in both files, 0 where one lacks the leaf.
        change: Largest absolute difference of the dense values over the largest magnitude in the first file; 0 if they
            are equal bit for bit, None where they cannot be compared.
    """

    path: str
    nodes: tuple[str | None, str | None]
    shapes: tuple[tuple[int, ...] | None, tuple[int, ...] | None]
    file_bytes: tuple[int, int]
    change: float | None


def diff(first: str | os.PathLike[str], second: str | os.PathLike[str]) -> list[DiffRow]:
    """Compares two files in bytes and in dense values, in the memory of one leaf of each.

    .. math:: \\delta_l = \\max_i |W^A_i - W^B_i| / \\max_i |W^A_i|

    Args:
        first: File A.
        second: File B.

    Returns:
        A row per leaf of either file, in the order of A, then of B; then the other parts. Bytes add up to both files.

    Raises:
        ArtifactError: If a file cannot be read or is damaged.

    Example:
        >>> import tempfile, os.path
        >>> from compressjax import coding
        >>> a, b = (os.path.join(tempfile.mkdtemp(), "m.cjx") for _ in range(2))
        >>> _ = coding.write(a, {"w": np.array([1.0, 2.0])}), coding.write(b, {"w": np.array([1.0, 2.5])})
        >>> diff(a, b)[0].change
        0.25
    """
    files = Leaves(first), Leaves(second)
    rows = [{row.path: row for row in file.manifest.ledger.leaves} for file in files]
    found = []
    for path in dict.fromkeys([*rows[0], *rows[1]]):
        one, two = rows[0].get(path), rows[1].get(path)
        change = _change(files[0][path], files[1][path]) if one and two else None
        found.append(
            DiffRow(
                path,
                (one.nodes if one else None, two.nodes if two else None),
                (one.shape if one else None, two.shape if two else None),
                (one.file_bytes if one else 0, two.file_bytes if two else 0),
                change,
            )
        )
    rests = [file.manifest.ledger.rest for file in files]
    for name in dict.fromkeys([*rests[0], *rests[1]]):
        sizes = rests[0].get(name, 0), rests[1].get(name, 0)
        found.append(DiffRow(f"({name})", (None, None), (None, None), sizes, None))
    return found


def _change(one: Any, two: Any) -> float | None:
    try:
        a, b = materialize(one), materialize(two)
    except (UnknownNode, ArtifactError):
        return None
    if a.shape != b.shape:
        return None
    if a.dtype == b.dtype and a.tobytes() == b.tobytes():
        return 0.0
    if a.dtype.kind not in "biuf" or b.dtype.kind not in "biuf":
        return None
    wide = a.astype(np.float64)
    largest = float(np.abs(wide).max(initial=0.0))
    return float(np.abs(wide - b).max(initial=0.0)) / (largest or 1.0)
