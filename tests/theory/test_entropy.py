"""Entropies against closed forms and SciPy-free sums."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compressjax.theory import binary_entropy, empirical_entropy


@pytest.mark.parametrize("k", [1, 2, 8, 1000])
def test_even_symbols_need_the_logarithm(k):
    assert empirical_entropy(np.tile(np.arange(k), 3)) == pytest.approx(math.log2(k))


def test_a_dyadic_source():
    assert empirical_entropy(["a"] * 4 + ["b"] * 2 + ["c", "d"]) == 1.75


def test_no_symbols_need_no_bits():
    assert empirical_entropy([]) == 0.0
    assert empirical_entropy([7, 7]) == 0.0


@given(st.lists(st.integers(0, 5), min_size=1), st.integers(1, 100))
def test_names_of_symbols_do_not_matter(symbols, shift):
    renamed = [-shift * s for s in symbols]
    assert empirical_entropy(symbols) == pytest.approx(empirical_entropy(renamed), abs=1e-12)


@given(st.integers(0, 50), st.integers(1, 50))
def test_a_coin_is_a_source_of_two_symbols(ones, zeros):
    coin = [1] * ones + [0] * zeros
    assert empirical_entropy(coin) == pytest.approx(float(binary_entropy(ones / (ones + zeros))), abs=1e-12)


def test_known_coins():
    assert binary_entropy([0, 1, 0.5]).tolist() == [0, 0, 1]
    assert float(binary_entropy(0.11)) == pytest.approx(0.4999, abs=2e-4)  # the capacity-one-half crossover
    assert binary_entropy(np.full((2, 3), 0.3)).shape == (2, 3)


def test_what_is_no_probability_or_number_is_refused():
    with pytest.raises(ValueError, match=r"span -0\.1 to 1\.2"):
        binary_entropy([-0.1, 1.2])
    with pytest.raises(ValueError, match="contain NaN"):
        empirical_entropy([1.0, math.nan])
