"""Rows far from the others."""

from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from compressjax.core._settings import as_number
from compressjax.data._fit import batches_of, fit
from compressjax.data.cleaning._isolation import isolation_forest
from compressjax.data.cleaning._report import Finding, Report
from compressjax.data.scaling._robust import median_scaler
from compressjax.data.scaling._standard import standard_scaler
from compressjax.data.sources._batches import rows_of

_LIMITS = {"z_score": 3.0, "median": 3.5, "isolation": 0.6}


def find_outliers(
    source: Any, *, method: str = "median", threshold: float | None = None, key: jax.Array | None = None
) -> Report:  # fmt: skip
    """Finds rows with a value far from those of its feature, or rows that random cuts isolate soon.

    .. math:: \\max_j \\frac{|x_{ij} - \\mu_j|}{\\sigma_j} > t, \\quad
        \\max_j \\frac{|x_{ij} - m_j|}{1.4826\\, MAD_j} > t, \\quad s(x_i) > t

    Outliers move means and deviations, so the median finds more of them. The source is read twice.

    Args:
        source: As for `fit`; not an iterator.
        method: "z_score", "median" (median absolute deviation) or "isolation" (`isolation_forest`).
        threshold: `t`; None for 3, 3.5 and 0.6.
        key: Random key of "isolation"; None for `jax.random.key(0)`.

    Returns:
        The report: which row, which column, how far.

    Raises:
        ValueError: As `fit`; if the method is unknown or the source can be read once.

    Example:
        >>> rows = np.array([[1.0, 5.0], [2.0, 5.0], [3.0, 5.0], [2.0, 5.0], [90.0, 5.0]])
        >>> print(find_outliers(rows))
        row 4: outlier: column 0 is 90, 59.4 deviations from 2
        1 of 5 rows dropped: 1 by outlier

    Source: Iglewicz and Hoaglin, 1993; Liu, Ting and Zhou, ICDM 2008.
    """
    who = "find_outliers"
    if method not in _LIMITS:
        raise ValueError(f"{who}: method={method!r} must be one of {sorted(_LIMITS)}")
    if isinstance(source, Iterator):
        raise ValueError(f"{who}: it reads its source twice, and a {type(source).__name__} can be read once")
    limit = _LIMITS[method] if threshold is None else as_number(who, "threshold", threshold)
    reducers: dict[str, Any] = {
        "z_score": standard_scaler,
        "median": median_scaler,
        "isolation": lambda: isolation_forest(key=key),
    }
    fitted = fit(reducers[method](), source)
    findings, seen = [], 0
    for batch in batches_of(source):
        x = np.asarray(rows_of(who, batch, seen))
        if method == "isolation":
            scores = np.asarray(fitted.scores(x))
            findings += [Finding(seen + i, "outlier", f"isolated soon, score {scores[i]:.3f}")
                         for i in np.flatnonzero(scores > limit).tolist()]  # fmt: skip
        else:
            apart = np.abs(np.asarray(fitted.transform(x)))
            for i in np.flatnonzero(apart.max(1) > limit).tolist():
                j = int(apart[i].argmax())
                why = f"column {j} is {x[i, j]:g}, {apart[i, j]:.1f} deviations from {float(fitted.shift[j]):g}"
                findings.append(Finding(seen + i, "outlier", why))
        seen += len(x)
    return Report(seen, tuple(findings))
