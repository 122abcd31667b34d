"""Closed forms and Catoni's bound against published code's values."""

import math

import pytest

from compressjax.theory import catoni_bound, mcallester_bound, occam_bound, quad_bound
from tests.theory.golden import ROWS


@pytest.mark.parametrize("row", ROWS)
def test_the_values_of_published_code(row):
    n, wrong, bits = row[:3]
    found = [bound(wrong, n, bits) for bound in (catoni_bound, quad_bound, mcallester_bound)]
    assert found == pytest.approx([row.catoni, row.quad, row.mcallester], abs=1e-6)


def test_hoeffding_is_his_inequality():
    """At this distance above the rate, the tail exp(-2 n t^2) is delta times the prior."""
    above = occam_bound(300, 2000, 40, 0.1) - 300 / 2000
    assert math.exp(-2 * 2000 * above**2) == pytest.approx(0.1 * 2.0**-40)


@pytest.mark.parametrize("bound", [catoni_bound, mcallester_bound, occam_bound, quad_bound])
def test_more_bits_and_more_certainty_cost(bound):
    assert bound(10, 1000, 50) < bound(10, 1000, 60) < bound(10, 1000, 60, 0.01) < bound(20, 1000, 60, 0.01) < 1
    assert bound(10, 1000, 1e6) == 1.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"errors": 11}, "0 <= errors <= examples"),
        ({"errors": 0.1}, "it must be an integer"),
        ({"examples": 0}, "errors=1 of examples=0"),
        ({"bits": -1}, "bits=-1 must be finite"),
        ({"delta": 1.0}, r"delta=1.0 must lie in \(0, 1\)"),
    ],
)
def test_bad_arguments(change, message):
    with pytest.raises(ValueError, match=message):
        occam_bound(**{"errors": 1, "examples": 10, "bits": 5, **change})
