"""The accounting with a layer's own gaps and code lengths, against symbols that a loop writes."""

import heapq
from collections import Counter

import numpy as np
import pytest

from compressjax.theory import deep_compression_measured, deep_compression_size


def huffman_bits(symbols):
    """Total bits of a Huffman code: every merge adds a bit to all symbols below it."""
    heap, total = list(Counter(symbols).values()), 0
    heapq.heapify(heap)
    while len(heap) > 1:
        merged = heapq.heappop(heap) + heapq.heappop(heap)
        heapq.heappush(heap, merged)
        total += merged
    return total


def test_bits_are_those_of_written_symbols():
    draw = np.random.default_rng(0)
    mask, codes = draw.random((30, 40)) < 0.1, draw.choice(16, (30, 40), p=np.arange(1, 17) / 136)
    weights, gaps, since = [], [], 0
    end = np.flatnonzero(mask)[-1] + 1  # nothing is written after the last weight
    for keep, code in zip(mask.ravel()[:end], codes.ravel()[:end], strict=True):
        if keep:
            weights.append(code)
            gaps.append(since)
            since = 0
        elif since == 7:  # the longest gap of three bits, then a filler
            weights.append(0)
            gaps.append(7)
            since = 0
        else:
            since += 1
    size = deep_compression_measured(mask, codes, codebook_bits=4, gap_bits=3, biases=40)
    assert size.bits == pytest.approx(huffman_bits(weights) + huffman_bits(gaps) + 32 * 16 + 32 * 40)
    plain = deep_compression_measured(mask, codes, codebook_bits=4, gap_bits=3, biases=40, huffman=False)
    assert plain.bits == pytest.approx(len(weights) * 7 + 32 * 56)
    assert plain.filler == pytest.approx(len(weights) / mask.sum() - 1)


def test_a_random_mask_costs_what_the_formula_expects():
    mask = np.random.default_rng(1).random(200_000) < 0.08
    measured = deep_compression_measured(mask, np.zeros(200_000, int), codebook_bits=6, huffman=False)
    expected = deep_compression_size(200_000, mask.mean(), 6, 5, codebook_bits=6, gap_bits=5)
    assert measured.bits == pytest.approx(expected.bits, rel=0.01)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="keeps 0 entries"):
        deep_compression_measured(np.zeros(3, bool), np.zeros(3, int), codebook_bits=2)
    with pytest.raises(ValueError, match="codes span 4 to 4"):
        deep_compression_measured(np.ones(3, bool), np.full(3, 4), codebook_bits=2)
    with pytest.raises(ValueError, match="gap_bits=0"):
        deep_compression_measured(np.ones(3, bool), np.zeros(3, int), codebook_bits=2, gap_bits=0)
