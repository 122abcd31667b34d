"""What checks of rows found, row by row."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np


class Finding(NamedTuple):
    """One row that a check would drop.

    Attributes:
        row: Its number in the source, from 0.
        check: The name of the check.
        why: What it saw, in words.
    """

    row: int
    check: str
    why: str


class Report(NamedTuple):
    """The rows of a source that checks would drop, and why.

    Attributes:
        rows: Number of rows in the source.
        findings: In the order of rows; a row may have several.
    """

    rows: int
    findings: tuple[Finding, ...]

    @property
    def kept(self) -> np.ndarray:
        """Whether each row stays, `[rows]`."""
        mask = np.ones(self.rows, bool)
        mask[[finding.row for finding in self.findings]] = False
        return mask

    def __str__(self) -> str:
        """A line for each row that goes, and the sums."""
        counts = Counter(finding.check for finding in self.findings)
        said = ", ".join(f"{count} by {check}" for check, count in sorted(counts.items())) or "none"
        lines = [f"row {finding.row}: {finding.check}: {finding.why}" for finding in self.findings]
        gone = self.rows - int(self.kept.sum())
        return "\n".join([*lines, f"{gone} of {self.rows} rows dropped: {said}"])


def clean(reports: Report | Sequence[Report], *arrays: Any) -> tuple[Report, tuple[Any, ...]]:
    """Joins the reports of checks, and drops the rows that any of them names.

    .. math:: X' = (x_i : i \\notin D_1 \\cup \\dots \\cup D_m)

    Args:
        reports: From `find_duplicates` and others, all about the same rows.
        *arrays: Rows, labels, and whatever else has one entry a row.

    Returns:
        The joint report, and the arrays without these rows.

    Raises:
        ValueError: If reports or arrays have different numbers of rows, or no row would stay.

    Example:
        >>> from compressjax.data import find_duplicates
        >>> report, (x, y) = clean(find_duplicates(np.array([[1], [2], [1]])), np.array([[1], [2], [1]]), np.arange(3))
        >>> print(report)
        row 2: duplicate: equals row 0
        1 of 3 rows dropped: 1 by duplicate
        >>> x.tolist(), y.tolist()
        ([[1], [2]], [0, 1])
    """
    every = [reports] if isinstance(reports, Report) else list(reports)
    sizes = {report.rows for report in every} | {len(x) for x in arrays}
    if len(sizes) != 1:
        raise ValueError(f"clean: reports and arrays have {sorted(sizes)} rows; they must be about the same ones")
    found = sorted(finding for report in every for finding in report.findings)
    joint = Report(sizes.pop(), tuple(found))
    if not joint.kept.any():
        raise ValueError(f"clean: no row of {joint.rows} would stay; loosen a check")
    return joint, tuple(x[joint.kept] for x in arrays)
