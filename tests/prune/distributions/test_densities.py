"""Densities against values worked out by hand from the definition."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compressjax.prune.distributions import densities
from compressjax.prune.distributions._densities import ALL, check_removes, kept_counts

LENET = {"a": (784, 300), "b": (300, 100), "c": (100, 10)}


def test_erk_by_hand():
    # sum/prod: a 1084/235200, b 400/30000, c 110/1000. With 26620 entries to keep, the factor 26620/1594 would give c
    # a density of 1.84, so c is dense and the factor becomes (26620 - 1000)/1484.
    factor = 25620 / 1484
    got = densities(LENET, 0.9, "erk")
    assert got["c"] == 1.0
    np.testing.assert_allclose([got["a"], got["b"]], [factor * 1084 / 235200, factor * 400 / 30000], rtol=1e-12)


def test_erk_of_a_convolution_by_hand():
    got = densities({"conv": (3, 3, 16, 32), "dense": (64, 64)}, 0.5, "erk")
    ratio = (54 / 4608) / (128 / 4096)
    assert got["conv"] / got["dense"] == pytest.approx(ratio, rel=1e-12)


def test_erk_makes_several_leaves_dense():
    got = densities({"big": (1000, 1000), "s": (10, 10), "t": (20, 5)}, 0.9, "erk")
    assert got["s"] == got["t"] == 1.0
    assert got["big"] == pytest.approx((0.1 * 1000200 - 200) / 1e6)


shapes = st.lists(st.lists(st.integers(1, 40), min_size=2, max_size=4).map(tuple), min_size=1, max_size=5)


@given(shapes, st.floats(0.0, 0.99))
def test_erk_totals_are_exact(drawn, sparsity):
    named = {str(i): shape for i, shape in enumerate(drawn)}
    got = densities(named, sparsity, "erk")
    size = {path: math.prod(shape) for path, shape in named.items()}
    assert all(0 < d <= 1 for d in got.values())
    assert sum(got[p] * size[p] for p in size) == pytest.approx((1 - sparsity) * sum(size.values()), rel=1e-9)
    counts = kept_counts(named, sparsity, "erk")
    total = sum(size.values())
    assert sum(counts.values()) == total - round(sparsity * total)
    assert all(0 <= counts[p] <= size[p] and abs(counts[p] - got[p] * size[p]) < 1 + 1e-6 for p in size)


def test_patterns_in_order_and_the_rest():
    got = densities(LENET, 0.5, {"a|b": 0.9, "b": 0.1})
    assert got == {"a": 0.1, "b": 0.1, "c": 0.5}


def test_counts():
    assert kept_counts(LENET, 0.9, "uniform") == {"a": 23520, "b": 3000, "c": 100}
    assert kept_counts(LENET, 0.9, "global") == {ALL: 26620}
    assert kept_counts(LENET, 0.0, "erk") == {"a": 235200, "b": 30000, "c": 1000}


def test_a_sparsity_that_rounds_to_nothing_is_refused():
    small = {"a": (3, 3), "b": (2, 2)}
    for distribution in ("uniform", "global", "erk", {"b": 0.0}):
        with pytest.raises(ValueError, match=r"sparsity=0.03 removes none of the 13 weights of \['a', 'b'\]"):
            check_removes(small, 0.03, kept_counts(small, 0.03, distribution))
    check_removes(small, 0.0, kept_counts(small, 0.0, "uniform"))
    check_removes(small, 0.06, kept_counts(small, 0.06, "uniform"))


@pytest.mark.parametrize(
    ("sparsity", "distribution", "message"),
    [
        (1.0, "uniform", r"sparsity=1.0 is outside \[0, 1\)"),
        (-0.1, "erk", "sparsity=-0.1"),
        (0.5, "layerwise", "unknown distribution 'layerwise'"),
        (0.5, "global", "before the weights are ranked"),
        (0.5, {"a": 1.5}, r"distribution\['a'\]=1.5"),
        (0.5, {"z": 0.5}, "pattern 'z' matches none"),
    ],
)
def test_bad_settings(sparsity, distribution, message):
    with pytest.raises(ValueError, match=message):
        densities(LENET, sparsity, distribution)
