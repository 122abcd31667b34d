"""Noise ratios against closed forms."""

import math

import numpy as np
import pytest

from compressjax import measure, quant, tensors
from compressjax.core import compress
from tests.helpers import FLOATS, array


def test_pruned_energy():
    w = np.array([3.0, 4.0, 12.0], np.float32)
    node = tensors.Masked(w, np.array([True, True, False]))
    assert measure.sqnr({"w": w}, {"w": node})["w"] == pytest.approx(10 * math.log10(169 / 144))


@pytest.mark.parametrize("bits", [4, 6, 8])
def test_a_uniform_grid_gives_six_decibels_a_bit(bits):
    # Uniform weights on [-1, 1] with steps of 2 / (2**bits - 2): signal 1/3, noise step**2 / 12.
    w = np.random.default_rng(0).uniform(-1, 1, (400, 400)).astype(np.float32)
    expected = 20 * math.log10(2**bits - 2)
    found = measure.sqnr({"w": w}, compress({"w": w}, {"w": quant.rtn(bits, granularity="tensor")}))
    assert found["w"] == pytest.approx(expected, abs=0.05)


@pytest.mark.parametrize("dtype", FLOATS)
def test_ends(dtype):
    w = array(0, (4, 4), dtype)
    assert measure.sqnr({"w": w, "n": 3}, {"w": w, "n": 3}) == {"w": math.inf}
    assert measure.sqnr({"w": 0 * w}, {"w": 0 * w}) == {"w": math.inf}
    assert measure.sqnr({"w": 0 * w}, {"w": w}) == {"w": -math.inf}
    assert measure.sqnr({"w": w}, {"w": 0 * w})["w"] == 0


def test_other_trees_are_refused():
    w = array(0, (2, 2))
    with pytest.raises(ValueError, match=r"differ at \['a', 'b'\]"):
        measure.sqnr({"a": w}, {"b": w})
    with pytest.raises(ValueError, match=r"'a' has shape \(2, 2\) before and \(2,\) after"):
        measure.sqnr({"a": w}, {"a": w[0]})
