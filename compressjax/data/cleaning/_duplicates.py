"""Rows that occur again."""

import hashlib
from typing import Any

import numpy as np

from compressjax.data._fit import batches_of
from compressjax.data._reducer import Reads
from compressjax.data.cleaning._report import Finding, Report
from compressjax.data.sources._batches import rows_of

_ANY = Reads(missing=True)


def find_duplicates(source: Any, labels: Any = None) -> Report:
    """Finds rows that equal an earlier row, by digests of their values.

    .. math:: D = \\{i : \\exists j < i,\\; x_i = x_j\\}

    Missing values equal each other. Memory is one digest of 16 bytes for each different row.

    Args:
        source: As for `fit`; NaN is allowed.
        labels: `[n]`, or None. An equal row of another label is found too, and the report says so.

    Returns:
        The report, with the first row of each kind kept.

    Raises:
        ValueError: As `fit`; if labels have another length.

    Example:
        >>> print(find_duplicates(np.array([[1.0, 2.0], [3.0, 4.0], [1.0, 2.0]]), ["a", "a", "b"]))
        row 2: duplicate: equals row 0, which is labeled 'a', not 'b'
        1 of 3 rows dropped: 1 by duplicate
    """
    first: dict[bytes, int] = {}
    found, seen = [], 0
    known = None if labels is None else np.asarray(labels)
    for batch in batches_of(source):
        x = np.asarray(rows_of("find_duplicates", batch, seen, _ANY))
        # Zeros have two signs and missing values many bits, but they are equal.
        x = np.where(np.isnan(x), np.nan, x) + 0.0 if np.issubdtype(x.dtype, np.floating) else x.astype(np.int64)
        for i, row in enumerate(np.ascontiguousarray(x)):
            key = hashlib.blake2b(row.tobytes(), digest_size=16).digest()
            earlier = first.setdefault(key, seen + i)
            if earlier != seen + i:
                found.append((seen + i, earlier))
        seen += len(x)
    if known is not None and known.shape != (seen,):
        raise ValueError(f"find_duplicates: labels of shape {known.shape} do not belong to {seen} rows")

    def why(row: int, earlier: int) -> str:
        if known is None or known[row] == known[earlier]:
            return f"equals row {earlier}"
        return f"equals row {earlier}, which is labeled {known[earlier].item()!r}, not {known[row].item()!r}"

    return Report(seen, tuple(Finding(row, "duplicate", why(row, earlier)) for row, earlier in found))
