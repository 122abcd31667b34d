"""Selection by scores that need all rows at once, on a sample that merges."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from compressjax.core._settings import as_int
from compressjax.data._reducer import Reads, Reducer
from compressjax.data._sample import Sample, joined, no_sample, rows_in, sampled
from compressjax.data.selection._selected import Selected, select_by


def by_sample(
    who: str, k: Any, rows: Any, key: jax.Array | None, reads: Reads,
    score: Callable[[np.ndarray, np.ndarray], np.ndarray],
) -> Reducer:  # fmt: skip
    """A reducer that scores the features of a sample of rows and labels, in float64 on the host."""
    k, rows = as_int(who, "k", k), as_int(who, "rows", rows)
    if rows < 4:
        raise ValueError(f"{who}: rows={rows} must be at least 4")
    base = jax.random.key(0) if key is None else key

    def finalize(state: Sample) -> Selected:
        x, y = rows_in(state)
        if len(x) < 4:
            raise ValueError(f"{who}: {len(x)} rows say nothing about how features depend on labels; it takes 4")
        if (y == y[0]).all():
            raise ValueError(f"{who}: all {len(y)} labels are equal, so no feature tells them apart")
        # In an order that the values alone give, so that what a score draws for a row does not depend on batches.
        order = np.lexsort((np.einsum("ij,j->i", x, np.sqrt(np.arange(2, x.shape[1] + 2))), y))
        return select_by(score(x[order], y[order]), k)

    return Reducer(lambda features: no_sample(rows, features, base), lambda state, batch: sampled(state, *batch),
                   joined, finalize, f"{who}({k})", reads)  # fmt: skip
