"""Wilson's interval against its defining equation and against SciPy."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from compressjax.measure._interval import wilson


@given(trials=st.integers(1, 10_000), part=st.floats(0, 1), level=st.sampled_from([0.5, 0.9, 0.95, 0.999]))
def test_ends_solve_the_score_equation(trials, part, level):
    successes = round(part * trials)
    found = wilson(successes, trials, level)
    z = stats.norm.ppf(0.5 + level / 2)
    for end in (found.low, found.high):
        if 0 < end < 1:
            assert abs(found.value - end) == pytest.approx(z * (end * (1 - end) / trials) ** 0.5, rel=1e-6, abs=1e-9)
    assert 0 <= found.low <= found.value <= found.high <= 1


@pytest.mark.parametrize(("successes", "trials"), [(0, 5), (5, 5), (9005, 10_000), (538, 540)])
def test_it_agrees_with_scipy(successes, trials):
    expected = stats.binomtest(successes, trials).proportion_ci(0.95, method="wilson")
    found = wilson(successes, trials)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-12)


@pytest.mark.parametrize("arguments", [(3, 2), (-1, 2), (0, 0), (1, 2, 0.0), (1, 2, 1.0)])
def test_nonsense_is_refused(arguments):
    with pytest.raises(ValueError, match="give"):
        wilson(*arguments)
