"""ANS against the empirical entropy, and its model against powers of two."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compressjax.coding import ArtifactError
from compressjax.coding._ans import STEPS, decode, encode, histogram, plan, stack, weights
from compressjax.coding._bits import Reader
from compressjax.coding._limits import Budget
from compressjax.theory import empirical_entropy
from tests.coding.samples import bell, whole


def code(symbols: np.ndarray) -> bytes:
    return encode(symbols.astype(np.int32), plan(np.bincount(symbols)))


@given(st.lists(st.integers(0, 30), min_size=2, max_size=300).filter(lambda x: len(set(x)) > 1))
def test_symbols_come_back(values):
    symbols = np.array(values)
    assert whole(decode(Reader(code(symbols)), int(symbols.max()) + 1, symbols.size, Budget())).tolist() == values


@pytest.mark.parametrize("alphabet", [2, 16, 64, 256])
def test_length_is_within_one_percent_of_the_entropy(alphabet):
    symbols = bell(0, 200_000, alphabet, alphabet / 8)
    bound = empirical_entropy(symbols) * symbols.size / 8
    assert bound <= len(code(symbols)) <= 1.01 * bound


@pytest.mark.parametrize("count", [50, 500, 5000])
def test_short_streams_pay_little_for_their_table(count):
    symbols = bell(1, count, 16, 2.0)
    bound = empirical_entropy(symbols) * count / 8
    two_part = (16 - 1) / 2 * math.log2(count) / 8  # what the best stored model costs, to first order
    assert len(code(symbols)) <= 1.01 * bound + two_part + 6


def test_symbols_are_counted_across_blocks(monkeypatch):
    symbols = bell(4, 1000, 16)
    monkeypatch.setattr("compressjax.coding._ans.BLOCK", 64)
    assert histogram(symbols, 20).tolist() == [int((symbols == a).sum()) for a in range(20)]


def test_the_plan_foresees_the_length():
    symbols = bell(2, 3000, 32)
    planned = plan(np.bincount(symbols))
    assert abs(len(encode(symbols.astype(np.int32), planned)) - planned[0] / 8) < 3


@pytest.mark.parametrize("steps", STEPS)
def test_weights_are_powers_of_two_rounded_down(steps):
    exponents = np.arange(24 * steps + 1)
    exact = np.exp2(24 - exponents / steps)
    assert (np.abs(weights(exponents, steps) - exact) <= 1).all()
    assert weights(np.array([10**6]), steps).tolist() == [1]


def test_altered_streams_are_refused():
    symbols = bell(3, 100, 8, 1.0)
    coded = code(symbols)
    with pytest.raises(ArtifactError, match="does not end with its last symbol"):
        whole(decode(Reader(coded + b"\x01\x02"), 8, 100, Budget()))
    with pytest.raises(ArtifactError, match="does not end with its last symbol"):
        whole(decode(Reader(coded), 8, 50, Budget()))
    with pytest.raises(ArtifactError, match="ends in a zero byte"):
        stack(b"\x01\x00")
    with pytest.raises(ArtifactError, match="unknown frequency table"):
        whole(decode(Reader(b"\x09" + coded[1:]), 8, 100, Budget()))
    with pytest.raises(ArtifactError, match="empty"):
        whole(decode(Reader(b"\x00\x00\xff\x00"), 8, 100, Budget()))
