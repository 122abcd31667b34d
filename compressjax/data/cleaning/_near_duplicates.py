"""Rows that are nearly the same as an earlier one."""

from typing import Any

import numpy as np

from compressjax.core._settings import as_number, integers
from compressjax.data._fit import batches_of
from compressjax.data.cleaning._minhash import candidates, signatures
from compressjax.data.cleaning._report import Finding, Report
from compressjax.data.sources._batches import rows_of


def find_near_duplicates(
    source: Any, *, threshold: float = 0.8, levels: int = 8, bands: int = 20, per_band: int = 6, seed: int = 0
) -> Report:  # fmt: skip
    """Finds rows that have much in common with an earlier row, without comparing all pairs.

    .. math:: J(A, B) = \\frac{|A \\cap B|}{|A \\cup B|} \\ge t, \\quad
        P(\\text{compared}) = 1 - (1 - J^r)^b

    A row is the set of its features together with their levels above 0: words of a text, or pixels and their
    brightness. Pairs that agree in one of `b` bands of `r` entries of their MinHash signatures are compared exactly.
    Memory is one byte a value and 4 bytes an entry of a signature.

    Args:
        source: As for `fit`; values are at least 0.
        threshold: `t`, in (0, 1].
        levels: Levels of equal width up to the largest value, 1 to 255; with 1, all values above 0 are alike.
        bands: `b`, at least 1; 20 bands of 6 compare 99.8 % of the pairs with 0.8 in common, 27 % of those with 0.5.
        per_band: `r`, at least 1.
        seed: Of the hash functions.

    Returns:
        The report: which row, and how much it has in common with the earlier one.

    Raises:
        ValueError: As `fit`; if a value is negative, or an argument out of range.

    Example:
        >>> rows = np.array([[3, 1, 4, 1, 5, 9], [1, 1, 0, 0, 0, 2], [3, 1, 4, 1, 5, 8]])
        >>> print(find_near_duplicates(rows, threshold=0.7, levels=9, per_band=1))
        row 2: near duplicate: 0.71 in common with row 0
        1 of 3 rows dropped: 1 by near duplicate

    Source: Broder, 1997; bands, Indyk and Motwani, STOC 1998; one permutation, Li et al., arXiv:1208.1259 (li2012).
    """
    who = "find_near_duplicates"
    if not 0 < as_number(who, "threshold", threshold) <= 1:
        raise ValueError(f"{who}: threshold={threshold} must be in (0, 1]")
    levels, bands, per_band, seed = integers(who, levels=levels, bands=bands, per_band=per_band, seed=seed)
    if not 1 <= levels <= 255 or bands < 1 or per_band < 1:
        raise ValueError(f"{who}: levels={levels} must be in [1, 255], bands={bands} and per_band={per_band} at least "
                         "1")  # fmt: skip
    codes = _levels(who, source, levels)
    signs = signatures(codes, bands * per_band, seed)
    findings, gone = [], np.zeros(len(codes), bool)
    pairs = candidates(signs, bands)
    shared = in_common(codes, pairs)
    for place in np.lexsort((pairs[:, 0], pairs[:, 1])):
        first, second = pairs[place]
        if shared[place] >= threshold and not gone[first] and not gone[second]:
            gone[second] = True
            why = f"{shared[place]:.2f} in common with row {first}"
            findings.append(Finding(int(second), "near duplicate", why))
    return Report(len(codes), tuple(findings))


def in_common(codes: np.ndarray, pairs: np.ndarray, batch: int = 8192) -> np.ndarray:
    """Share of tokens in common of each pair of rows."""
    found = np.zeros(len(pairs))
    for start in range(0, len(pairs), batch):
        a, b = (codes[pairs[start : start + batch, side]] for side in (0, 1))
        same = ((a == b) & (a > 0)).sum(1)
        found[start : start + batch] = same / np.maximum((a > 0).sum(1) + (b > 0).sum(1) - same, 1)
    return found


def _levels(who: str, source: Any, levels: int) -> np.ndarray:
    """The level of every value, from 0, in one byte each."""
    parts, seen = [], 0
    for batch in batches_of(source):
        x = np.asarray(rows_of(who, batch, seen))
        if (x < 0).any():
            row, column = np.argwhere(x < 0)[0].tolist()
            raise ValueError(f"{who}: row {seen + row}, column {column} is {x[row, column]}; values must be at least 0")
        seen += len(x)
        parts.append(x)
    if not parts:
        raise ValueError(f"{who}: the source has no rows")
    width = max(float(part.max(initial=0)) for part in parts) / levels
    return np.concatenate([np.minimum(np.ceil(part / (width or 1.0)), levels).astype(np.uint8) for part in parts])
