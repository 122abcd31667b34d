"""Rows that lack too much."""

from typing import Any

import numpy as np

from compressjax.core._settings import as_number
from compressjax.data._fit import batches_of
from compressjax.data._reducer import Reads
from compressjax.data.cleaning._report import Finding, Report
from compressjax.data.sources._batches import rows_of


def find_missing(source: Any, *, share: float = 0.0) -> Report:
    """Finds rows with more than a share of their values missing (NaN).

    .. math:: D = \\{i : \\tfrac1d |\\{j : x_{ij} \\text{ missing}\\}| > s\\}

    Args:
        source: As for `fit`; NaN is allowed.
        share: `s`, in [0, 1); 0 finds every row with a missing value.

    Returns:
        The report: which row, and which columns.

    Raises:
        ValueError: As `fit`; if the share is out of range.

    Example:
        >>> print(find_missing(np.array([[1.0, 2.0], [np.nan, 2.0]])))
        row 1: missing: 1 of 2 values, the first in column 0
        1 of 2 rows dropped: 1 by missing
    """
    if not 0 <= as_number("find_missing", "share", share) < 1:
        raise ValueError(f"find_missing: share={share} must be in [0, 1)")
    findings, seen = [], 0
    for batch in batches_of(source):
        x = np.asarray(rows_of("find_missing", batch, seen, Reads(missing=True)))
        lost = np.isnan(x) if np.issubdtype(x.dtype, np.floating) else np.zeros(x.shape, bool)
        for i in np.flatnonzero(lost.mean(1) > share).tolist():
            why = f"{lost[i].sum()} of {x.shape[1]} values, the first in column {int(lost[i].argmax())}"
            findings.append(Finding(seen + i, "missing", why))
        seen += len(x)
    return Report(seen, tuple(findings))
