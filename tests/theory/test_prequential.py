"""Prequential lengths against the closed form of Laplace's rule, and the control of random labels."""

import math

import numpy as np
import pytest

from compressjax.theory import prequential_length


def laplace(x, y):
    """The rule of succession, for two classes."""
    share = (np.bincount(y, minlength=2) + 1) / (len(y) + 2)
    return lambda x: np.tile(share, (len(x), 1))


def lookup(x, y):
    """The label that a sign had most often."""
    ones = [np.mean([*y[(x > 0) == side], 0, 1]) for side in (False, True)]
    return lambda x: np.stack([1 - np.take(ones, x > 0), np.take(ones, x > 0)], 1)


def test_the_rule_of_succession_has_a_closed_form(draw):
    """Label by label it costs log2((n + 1) binomial(n, k)), whatever the order."""
    y = (draw.random(50) < 0.2).astype(int)
    found = prequential_length(laplace, np.zeros(50), y, range(1, 51), 2)
    assert found.bits == pytest.approx(math.log2(51 * math.comb(50, int(y.sum()))))
    assert len(found.blocks) == 50
    assert sum(found.blocks) == pytest.approx(found.bits)
    assert found.uniform == 50


def test_what_can_be_learned_is_short_and_random_labels_are_not(draw):
    x = draw.normal(size=2000)
    ends = [10 * 2**k for k in range(7)] + [2000]
    assert prequential_length(lookup, x, (x > 0).astype(int), ends, 2).compression > 20
    assert prequential_length(lookup, x, draw.integers(0, 2, 2000), ends, 2).compression == pytest.approx(1, abs=0.03)


def test_certain_and_wrong():
    def sure(x, y):
        return lambda x: np.tile([1.0, 0.0], (len(x), 1))

    with pytest.raises(ValueError, match="label 1 of row 2 has probability 0; set mix"):
        prequential_length(sure, np.zeros(3), [0, 0, 1], [1, 3], 2)
    found = prequential_length(sure, np.zeros(3), [0, 0, 1], [1, 3], 2, mix=0.5)
    assert found.bits == pytest.approx(1 - math.log2(0.75) - math.log2(0.25))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ends": [1, 3]}, r"ends=\[1, 3\] must increase from at least 1 to 4"),
        ({"ends": [2, 2, 4]}, "must increase"),
        ({"classes": 1}, "classes=1 must be at least 2"),
        ({"mix": 1.0}, "mix=1.0 in"),
        ({"labels": [0, 1, 2, 0]}, "labels go from 0 to 2, classes=2"),
        ({"labels": [0.5] * 4}, "labels are float64"),
        ({"fit": lambda x, y: lambda x: np.zeros((len(x), 2))}, "are no probabilities"),
        ({"fit": lambda x, y: lambda x: np.ones((len(x), 1))}, "are no probabilities"),
    ],
)
def test_bad_arguments(change, message):
    settings = {"fit": laplace, "inputs": np.zeros(4), "labels": [0, 1, 1, 0], "ends": [1, 4], "classes": 2, **change}
    with pytest.raises(ValueError, match=message):
        prequential_length(**settings)
