"""Thresholds of the paper."""

import pytest

from compressjax.numerics._noise import middle_of_noise, threshold


def test_thresholds_are_those_of_the_paper():
    assert threshold(1.0) == pytest.approx(4 / 3**0.5)
    for beta, omega in [(1.0, 2.858), (0.5, 2.1711), (0.1, 1.6089)]:
        assert threshold(beta) / middle_of_noise(beta) ** 0.5 == pytest.approx(omega, abs=2e-3)
