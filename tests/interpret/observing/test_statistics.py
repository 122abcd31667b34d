"""Statistics of rows, against sums in double precision."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compressjax.interpret import Statistics, merge
from compressjax.interpret.observing._statistics import of_rows
from tests.interpret import samples


def assert_statistics(got: Statistics, rows: np.ndarray, gram: bool = True) -> None:
    """Every field from its definition."""
    rows = np.asarray(rows, np.float64)
    assert float(got.count) == len(rows)
    samples.assert_close(got.total, rows.sum(0))
    samples.assert_close(got.squares, (rows**2).sum(0))
    samples.assert_close(got.largest, np.abs(rows).max(0, initial=0.0))
    samples.assert_close(got.norm, np.sqrt((rows**2).sum(0)))
    samples.assert_close(got.absmax, np.abs(rows).max(initial=0.0))
    samples.assert_close(got.mean, rows.sum(0) / max(len(rows), 1))
    if gram:
        samples.assert_close(got.gram, rows.T @ rows)
        samples.assert_close(got.second_moment, rows.T @ rows / max(len(rows), 1))
    else:
        assert got.gram is None
        samples.assert_close(got.second_moment, (rows**2).sum(0) / max(len(rows), 1))


@pytest.mark.parametrize("gram", [True, False])
@pytest.mark.parametrize("n", [0, 1, 7])
def test_definitions(n: int, gram: bool) -> None:
    rows = samples.floats(samples.rng(n), n, 5)
    assert_statistics(of_rows(rows, gram=gram), np.asarray(rows), gram)


@given(st.lists(st.integers(0, 6), min_size=1, max_size=4), st.booleans())
def test_merging_batches_is_one_large_batch(sizes: list[int], gram: bool) -> None:
    draw = samples.rng(sum(sizes))
    batches = [samples.floats(draw, n, 3) for n in sizes]
    total = of_rows(batches[0], gram=gram)
    for rows in batches[1:]:
        total = merge(total, of_rows(rows, gram=gram))
    assert_statistics(total, np.concatenate(batches), gram)


def test_batches_have_a_record_each() -> None:
    rows = samples.floats(samples.rng(), 2, 3, 7, 5)
    got = of_rows(rows, gram=True)
    assert got.count.shape == (2, 3)
    for i in np.ndindex(2, 3):
        assert_statistics(jax.tree.map(lambda v, i=i: v[i], got), np.asarray(rows[i]))
    assert got.mean.shape == (2, 3, 5)
    assert got.second_moment.shape == (2, 3, 5, 5)


def test_half_precision_rows_are_summed_in_float32() -> None:
    rows = jnp.full((3000, 1), 1.0, jnp.bfloat16)
    assert of_rows(rows, gram=True).gram.tolist() == [[3000.0]]
    assert of_rows(rows, gram=False).total.dtype == jnp.float32


def test_merging_without_one_gram_matrix_drops_it() -> None:
    rows = samples.floats(samples.rng(), 2, 3)
    assert merge(of_rows(rows, gram=True), of_rows(rows, gram=False)).gram is None
