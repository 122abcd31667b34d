"""Certificates: they hold in simulation, say what they assume, and refuse what has no theorem."""

import numpy as np
import pytest

from compressjax import coding
from compressjax.theory import certify, description_length

WRONG = np.arange(4000) < 1200
SAME = {"iid": True, "trained_on": "train", "measured_on": "train"}


def test_the_published_row_from_a_length():
    length = description_length(500, self_delimiting=True)
    found = certify(length, WRONG, **SAME)
    assert (found.errors, found.examples) == (1200, 4000)
    assert found.bound == pytest.approx(0.505151, abs=1e-6)
    assert min(found.bounds, key=found.bounds.get) == "binomial tail"
    text = str(found)
    assert "at most 50.5151%, with confidence 0.95" in text
    assert text.count("assumes: ") == 4


def test_a_longer_file_certifies_less(tmp_path, draw):
    bounds = []
    for size in (4, 40):
        path = tmp_path / f"{size}.cjx"
        coding.write(path, {"w": draw.integers(0, 256, size).astype(np.uint8)})
        found = certify(path, np.zeros(60000, bool), tried=8, **SAME)
        assert found.length == description_length(path, tried=8)
        bounds.append(found.bound)
    assert bounds[0] < bounds[1] < 1


def test_it_holds_when_the_best_of_many_is_taken(draw):
    """Of 256 random labelers, 8 bits each, the best on the rows is certified; its true error is one half."""
    failures = {8: 0, 1: 0}
    for _ in range(60):
        tables = draw.random((256, 100)) < 0.5
        wrong = tables[np.argmin(tables.sum(1))]
        for bits in failures:
            failures[bits] += certify(description_length(bits, self_delimiting=True), wrong, **SAME).bound < 0.5
    assert failures[8] <= 6  # twice what 5 % allow
    assert failures[1] > 30  # a code that is not paid for certifies what is false


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"iid": False}, "without independent rows of one distribution no bound holds"),
        ({"measured_on": "test"}, "trained on 'train' and its errors were counted on 'test'; count them on the train"),
    ],
)
def test_no_theorem_no_bound(change, message):
    with pytest.raises(ValueError, match=message):
        certify(description_length(500), WRONG, **{**SAME, **change})


def test_errors_are_flags():
    for wrong in (0.3, np.zeros(4), np.zeros((2, 2), bool), np.zeros(0, bool)):
        with pytest.raises(ValueError, match="give one bool a row"):
            certify(description_length(500), wrong, **SAME)
