"""Paired differences: the test against SciPy, the interval against the coverage that it claims."""

import math

import numpy as np
import pytest
from scipy import stats

from compressjax import measure
from compressjax.measure._interval import wilson


def answers(both: int, lost: int, won: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    """Which examples each model gets right, from the cells of the two-by-two table."""
    counts = [both, lost, won, neither]
    return np.repeat([True, True, False, False], counts), np.repeat([True, False, True, False], counts)


@pytest.mark.parametrize(("lost", "won"), [(0, 0), (3, 3), (0, 6), (7, 2), (40, 61), (900, 1100)])
def test_p_value_agrees_with_scipy(lost, won):
    found = measure.paired_difference(*answers(50, lost, won, 10))
    expected = stats.binomtest(lost, lost + won).pvalue if lost + won else 1.0
    assert found.p_value == pytest.approx(expected, rel=1e-6)
    assert (found.lost, found.won) == (lost, won)
    assert found.value == (won - lost) / (60 + lost + won)


def test_interval_by_hand():
    # Table 20, 5, 1, 4: with half an example in each cell 5.5 and 1.5 of 32.
    found = measure.paired_difference(*answers(20, 5, 1, 4))
    center, spread = -4 / 32, math.sqrt(7 - 16 / 32) / 32
    assert (found.low, found.high) == pytest.approx((center - 1.959964 * spread, center + 1.959964 * spread))


@pytest.mark.parametrize(
    ("p_lost", "p_won", "most"),
    # Where hardly anything differs, the half examples make it wide.
    [(0.02, 0.02, 1.0), (0.05, 0.01, 1.0), (0.1, 0.3, 0.965), (0.3, 0.3, 0.965)],
)
def test_interval_covers_what_it_claims(p_lost, p_won, most):
    n, covered, total = 40, 0.0, 0.0
    for lost in range(n + 1):
        for won in range(n + 1 - lost):
            # Only the two cells that differ matter; the rest is one cell.
            rest = n - lost - won
            weight = stats.multinomial.pmf([lost, won, rest], n, [p_lost, p_won, 1 - p_lost - p_won])
            total += weight
            if weight > 1e-9:
                found = measure.paired_difference(*answers(rest, lost, won, 0))
                covered += weight * (found.low <= p_won - p_lost <= found.high)
    assert total == pytest.approx(1)
    assert 0.935 <= covered <= most


def test_it_is_sharper_than_two_intervals():
    found = measure.paired_difference(*answers(900, 8, 6, 86))
    apart = wilson(908, 1000)
    assert found.high - found.low < (apart.high - apart.low) / 2


def test_order_matters_by_sign_only():
    a, b = answers(10, 4, 1, 5)
    forth, back = measure.paired_difference(a, b), measure.paired_difference(b, a)
    assert (forth.value, forth.low, forth.high) == pytest.approx((-back.value, -back.high, -back.low))
    assert forth.p_value == back.p_value


@pytest.mark.parametrize(
    ("first", "second"),
    [([True], [True, False]), ([1, 0], [True, False]), ([], []), ([[True]], [[True]])],
)
def test_what_is_not_paired_is_refused(first, second):
    with pytest.raises(ValueError, match=r"give booleans \[n\] for the same examples"):
        measure.paired_difference(first, second)


def test_level_out_of_range_is_refused():
    with pytest.raises(ValueError, match="level=95"):
        measure.paired_difference([True], [True], level=95)
