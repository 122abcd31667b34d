"""One row, one class and labels that are all equal are errors, never a choice of the first features."""

import jax
import numpy as np
import pytest

from compressjax import data

ROWS = np.random.default_rng(0).integers(0, 2, (4, 3)).astype(np.float32)


@pytest.mark.parametrize(
    "reducer",
    [data.select_chi2(1, 2), data.select_anova(1, 2), data.select_information(1, 2), data.select_mrmr(1, 2),
     data.select_lasso(0.1, k=1, classes=2), data.select_recursive(1, classes=2)],
    ids=lambda reducer: reducer.name,
)  # fmt: skip
def test_one_class_is_named(reducer):
    with pytest.raises(
        ValueError, match="say nothing about features; it takes rows of at least 2 classes|labels are equal"
    ):
        data.fit(reducer, (ROWS, np.ones(4, int)))


@pytest.mark.parametrize(
    "reducer",
    [data.select_pearson(1), data.select_lasso(0.1, k=1), data.select_recursive(1), data.select_spearman(1, rows=4),
     data.select_distance_correlation(1, rows=4), data.select_mutual_information(1, rows=4),
     data.select_stable(0.1, k=1, rows=4)],
    ids=lambda reducer: reducer.name,
)  # fmt: skip
def test_equal_numbers_are_named(reducer):
    with pytest.raises(ValueError, match="all 4 labels are equal"):
        data.fit(reducer, (ROWS, np.full(4, 3.0)))


def test_one_row_is_named_and_unknown_counts_pass():
    with pytest.raises(ValueError, match="select_pearson: 1 rows say nothing"):
        data.fit(data.select_pearson(1), (ROWS[:1], [1.0]))
    reducer = data.select_anova(1, 2)
    state = reducer.update(reducer.init(3), (ROWS, np.array([0, 1, 0, 1])))
    places = reducer.finalize(state).places
    np.testing.assert_array_equal(jax.jit(lambda s: reducer.finalize(s).places)(state), places)
