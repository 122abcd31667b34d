"""Intervals against SciPy and their defining tails; changed predictions by hand."""

import numpy as np
import pytest
from scipy import stats

from compressjax import measure

CASES = [(0, 5), (5, 5), (1, 1), (9005, 10_000), (538, 540)]


@pytest.mark.parametrize("method", ["wilson", "exact"])
@pytest.mark.parametrize("level", [0.9, 0.95, 0.99])
@pytest.mark.parametrize(("correct", "total"), CASES)
def test_intervals_agree_with_scipy(correct, total, level, method):
    expected = stats.binomtest(correct, total).proportion_ci(level, method=method)
    found = measure.accuracy_interval(correct, total, level, method)
    assert found.value == correct / total
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_exact_ends_have_the_stated_tails():
    found = measure.accuracy_interval(90, 100, method="exact")
    assert stats.binom.sf(89, 100, found.low) == pytest.approx(0.025)
    assert stats.binom.cdf(90, 100, found.high) == pytest.approx(0.025)


@pytest.mark.parametrize("p", [0.05, 0.5, 0.9, 0.99])
def test_exact_interval_covers_for_every_accuracy(p):
    intervals = [measure.accuracy_interval(k, 40, method="exact") for k in range(41)]
    weights = stats.binom.pmf(np.arange(41), 40, p)
    assert sum(w for w, i in zip(weights, intervals, strict=True) if i.low <= p <= i.high) >= 0.95


def test_an_unknown_method_is_refused():
    with pytest.raises(ValueError, match="'normal' is unknown; use 'wilson' or 'exact'"):
        measure.accuracy_interval(1, 2, method="normal")


def test_changed_predictions():
    assert measure.changed_predictions([1, 2, 3], np.array([1, 3, 2])) == 2
    scores = np.array([[0.1, 0.9], [0.8, 0.2]])
    assert measure.changed_predictions(scores, -scores) == 2
    assert measure.changed_predictions(scores, np.array([1, 0])) == 0


@pytest.mark.parametrize("bad", [np.zeros(3), np.zeros((2, 2, 2)), np.zeros(())])
def test_what_is_no_prediction_is_refused(bad):
    with pytest.raises(ValueError, match=r"b is float64 .*; give integer labels"):
        measure.changed_predictions([0, 1, 2], bad)


def test_other_examples_are_refused():
    with pytest.raises(ValueError, match="a has 3 predictions, b 2"):
        measure.changed_predictions([0, 1, 2], [0, 1])
