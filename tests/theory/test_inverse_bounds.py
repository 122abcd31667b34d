"""Inverted tails against published values, SciPy's binomial distribution and closed forms."""

import pytest
import scipy.stats

from compressjax.theory import binomial_tail_bound, kl_bound
from tests.theory.golden import ROWS


@pytest.mark.parametrize("row", ROWS)
def test_the_values_of_published_code(row):
    n, wrong, bits = row[:3]
    assert binomial_tail_bound(wrong, n, bits) == pytest.approx(row.tail, abs=1e-6)
    if row.kl is not None:
        assert kl_bound(wrong, n, bits) == pytest.approx(row.kl, abs=1e-6)


def test_without_bits_it_is_the_interval_of_clopper_and_pearson():
    for wrong, n in ((0, 10), (3, 50), (400, 1000)):
        exact = scipy.stats.beta.ppf(0.95, wrong + 1, n - wrong)
        assert binomial_tail_bound(wrong, n, 0) == pytest.approx(exact, abs=1e-9)
        assert scipy.stats.binom.cdf(wrong, n, binomial_tail_bound(wrong, n, 5)) == pytest.approx(0.05 / 32)


def test_without_errors_both_have_closed_forms():
    assert binomial_tail_bound(0, 100, 10) == pytest.approx(1 - (0.05 / 1024) ** (1 / 100))
    assert kl_bound(0, 100, 10) == pytest.approx(1 - (0.05 / 1024 / 20) ** (1 / 100))


def test_ends():
    assert binomial_tail_bound(7, 7, 0) == kl_bound(7, 7, 0) == 1.0
    assert binomial_tail_bound(0, 1, 1e6) == kl_bound(0, 1, 1e6) == 1.0
