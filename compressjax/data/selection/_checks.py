"""Labels that can tell features apart."""

from typing import Any

import numpy as np

from compressjax.data._moments import Moments
from compressjax.numerics._counts import known
from compressjax.numerics._host import on_host


def check_class_counts(who: str, counts: Any) -> None:
    """Raises unless two classes occur; counts `[classes]` that are not known yet pass."""
    host = on_host(counts)
    if host is not None and np.count_nonzero(host) < 2:
        raise ValueError(f"{who}: {int(host.sum())} rows of {np.count_nonzero(host)} class say nothing about features; "
                         "it takes rows of at least 2 classes")  # fmt: skip


def check_numbers(who: str, moments: Moments, outputs: int) -> None:
    """Raises unless there are two rows and labels, the last columns, that differ; what is not known yet passes."""
    rows, scatter = known(moments.rows), on_host(moments.scatter)
    if rows is not None and rows < 2:
        raise ValueError(f"{who}: {rows} rows say nothing about how features depend on labels; it takes at least 2")
    if scatter is None:
        return
    spread = scatter[-outputs:] if scatter.ndim == 1 else np.diagonal(scatter)[-outputs:]
    if not (spread > 0).any():
        raise ValueError(f"{who}: all {rows} labels are equal, so no feature tells them apart")
