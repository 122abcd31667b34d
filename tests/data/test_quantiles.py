"""The sketch: exact while it fits, within its bound after, in any order and any parts."""

import jax
import numpy as np
import pytest

from compressjax.data import _quantiles as q

SHARES = np.linspace(0, 1, 21)
ADD, MERGE = jax.jit(q.sketched), jax.jit(q.merged_sketches)


def test_few_rows_are_exact_and_missing_values_do_not_count(draw):
    x = draw.normal(size=(12, 3)).astype(np.float32)
    x[[2, 5], 1] = np.nan
    state = MERGE(ADD(q.no_sketch(3, 16), x[:6]), ADD(q.no_sketch(3, 16), x[6:]))
    np.testing.assert_allclose(q.quantiles(state, SHARES, "q"), np.nanquantile(x, SHARES, axis=0), rtol=1e-6)


@pytest.mark.parametrize("order", ["random", "sorted"])
def test_ranks_are_within_the_bound(order, draw):
    size, n = 16, 1000
    x = draw.normal(size=(n, 2)).astype(np.float32)
    if order == "sorted":
        x = np.sort(x, axis=0)
    parts = []
    for half in (x[:500], x[500:]):
        state = q.no_sketch(2, size)
        for start in range(0, 500, 125):
            state = ADD(state, half[start : start + 125])
        parts.append(state)
    merged = MERGE(*parts)
    _values, weights = q.items(merged, "q")
    np.testing.assert_array_equal(weights.sum(1), n)
    bound = np.log2(n / size) / (2 * size)
    found = q.quantiles(merged, SHARES, "q")
    ranks = (x[:, :, None] <= found.T[None]).mean(0)
    error = np.abs(ranks - SHARES[None]).max()
    assert 0.003 < error < bound + 1 / n


def test_more_rows_than_it_holds_are_named():
    state = q.no_sketch(1, 8)._replace(rows=q.exact(8 * 2**q.LEVELS))
    with pytest.raises(ValueError, match="robust: 8388608 rows are more than a sketch of 8 values holds"):
        q.items(state, "robust")
