"""Mask codecs against hand-made gaps and the binary entropy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compressjax.coding import ArtifactError
from compressjax.coding._bits import varint
from compressjax.coding._limits import Budget
from compressjax.coding._mask import bernoulli, from_bernoulli, from_gaps, gaps, gaps_option
from compressjax.theory import binary_entropy

MIXED = st.lists(st.booleans(), min_size=2, max_size=200).filter(lambda m: 0 < sum(m) < len(m))


def read(decoder, data, count):
    out = np.empty(count, bool)
    decoder(data, out, Budget())
    return out


@given(MIXED)
def test_masks_come_back_from_gaps(values):
    flat = np.array(values)
    assert read(from_gaps, gaps(flat), flat.size).tolist() == values


@given(MIXED)
def test_masks_come_back_from_the_bernoulli_code(values):
    flat = np.array(values)
    assert read(from_bernoulli, bernoulli(flat), flat.size).tolist() == values


@given(st.lists(st.integers(0, 3000), min_size=1, max_size=8))
def test_gaps_longer_than_the_code_are_filled(distances):
    flat = np.zeros(sum(distances) + len(distances) + 1, bool)
    flat[np.cumsum(np.array(distances) + 1) - 1] = True
    assert read(from_gaps, gaps(flat), flat.size).tolist() == flat.tolist()


def test_one_density_costs_the_binary_entropy():
    flat = np.random.default_rng(0).random(100_000) < 0.08
    bound = float(binary_entropy(flat.mean())) * flat.size / 8
    assert bound <= len(bernoulli(flat)) <= 1.001 * bound + 8


def test_regular_gaps_cost_nearly_nothing():
    flat = np.arange(100_000) % 50 == 0
    assert len(gaps(flat)) < 24 < len(bernoulli(flat))


def test_altered_masks_are_refused():
    flat = np.random.default_rng(1).random(300) < 0.2
    with pytest.raises(ArtifactError, match="outside its mask"):
        read(from_gaps, gaps(flat), 100 + int(flat.sum()) // 2)
    with pytest.raises(ArtifactError, match="unknown gap code"):
        read(from_gaps, b"\x0d\x01\x00", 300)
    with pytest.raises(ArtifactError, match="claims 0 kept"):
        read(from_bernoulli, varint(0), 300)
    kept = int(flat.sum())
    with pytest.raises(ArtifactError, match="damaged"):
        read(from_bernoulli, varint(kept) + bernoulli(flat)[1:-1] + b"\x7f", 300)


def test_the_estimate_of_gaps_is_near_their_size():
    for density in (0.01, 0.1, 0.4):
        size, _, run = gaps_option(np.random.default_rng(0).random(5000) < density)
        assert abs(size - len(run())) <= 8
