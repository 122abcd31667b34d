"""Numbers of a config are in their ranges."""

import pytest

from experiments.limits import COUNT, FRACTION, NOT_NEGATIVE, POSITIVE, check


@pytest.mark.parametrize(
    ("limit", "good", "bad"),
    [
        (POSITIVE, (1, 0.5, 1e30), (0, -1, float("inf"), float("nan"), "1", None, True)),
        (NOT_NEGATIVE, (0, 0.0, 2), (-1e-9, float("nan"))),
        (FRACTION, (0, 1, 0.5), (1.001, -0.1)),
        (COUNT, (1, 10**12), (0, 1.0, False, float("inf"))),
    ],
)
def test_ranges(limit, good, bad):
    assert [value for value in good if not limit.holds(value)] == []
    assert [value for value in bad if limit.holds(value)] == []


def test_what_is_not_there_is_not_checked():
    check({"other": -1}, {"rate": POSITIVE}, "")
    with pytest.raises(ValueError, match=r"--config\.rate=-1 must be a finite number above 0"):
        check({"rate": -1}, {"rate": POSITIVE}, "--config.")
