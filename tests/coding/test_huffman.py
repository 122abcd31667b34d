"""Huffman codes against brute force, Kraft's equality and the entropy."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compressjax.coding import ArtifactError
from compressjax.coding._bits import Reader
from compressjax.coding._huffman import canonical, decode, encode, lengths, stored_bits
from compressjax.coding._limits import Budget
from compressjax.theory import empirical_entropy
from tests.coding.samples import bell, whole

COUNTS = st.lists(st.integers(0, 100), min_size=2, max_size=5).filter(lambda c: sum(x > 0 for x in c) > 1)


def cheapest(counts: list[int]) -> int:
    """Cost of the best prefix code, over all lengths that fulfill Kraft's inequality."""
    used = [c for c in counts if c]
    choices = itertools.product(range(1, len(used)), repeat=len(used)) if len(used) > 2 else [(1, 1)]
    return min(sum(c * n for c, n in zip(used, ls, strict=True)) for ls in choices if sum(2.0**-n for n in ls) <= 1)


@given(COUNTS)
def test_no_prefix_code_is_shorter(counts):
    assert int((lengths(np.array(counts)) * counts).sum()) == cheapest(counts)


def test_a_known_code():
    # Cormen et al., Introduction to Algorithms, figure 16.3: frequencies of a to f
    assert lengths(np.array([45, 13, 12, 16, 9, 5])).tolist() == [1, 3, 3, 3, 4, 4]
    assert canonical(np.array([1, 3, 3, 3, 4, 4])).tolist() == [0b0, 0b100, 0b101, 0b110, 0b1110, 0b1111]


@given(st.lists(st.integers(0, 40), min_size=2, max_size=300).filter(lambda x: len(set(x)) > 1))
def test_symbols_come_back_in_the_bits_foreseen(values):
    symbols = np.array(values)
    counts = np.bincount(symbols)
    coded = encode(symbols.astype(np.int32), lengths(counts))
    assert len(coded) == -(-stored_bits(counts, lengths(counts)) // 8)
    assert whole(decode(Reader(coded), counts.size, symbols.size, Budget())).tolist() == values


@pytest.mark.parametrize("alphabet", [2, 3, 10, 100])
def test_mean_length_is_between_entropy_and_entropy_plus_one(alphabet):
    symbols = bell(0, 5000, alphabet, alphabet / 6)
    counts = np.bincount(symbols)
    mean = float((counts * lengths(counts)).sum()) / symbols.size
    assert empirical_entropy(symbols) <= mean < empirical_entropy(symbols) + 1


def test_chunks_join_without_a_seam(monkeypatch):
    monkeypatch.setattr("compressjax.coding._huffman._CHUNK", 64)
    symbols = bell(1, 1000, 30)
    code_lengths = lengths(np.bincount(symbols))
    coded = encode(symbols.astype(np.int32), code_lengths)
    assert whole(decode(Reader(coded), code_lengths.size, 1000, Budget())).tolist() == symbols.tolist()
    monkeypatch.undo()
    assert encode(symbols.astype(np.int32), code_lengths) == coded
    assert whole(decode(Reader(coded), code_lengths.size, 1000, Budget())).tolist() == symbols.tolist()


def test_altered_streams_are_refused():
    symbols = np.array([0, 1, 2, 0, 0, 1, 0, 0])
    coded = encode(symbols.astype(np.int32), lengths(np.bincount(symbols)))
    with pytest.raises(ArtifactError, match="does not end with its last symbol"):
        whole(decode(Reader(coded + b"\0"), 3, 8, Budget()))
    with pytest.raises(ArtifactError, match="damaged"):
        whole(decode(Reader(coded[:-1]), 3, 8, Budget()))
    with pytest.raises(ArtifactError, match="padding bits"):
        whole(decode(Reader(coded[:-1] + bytes([coded[-1] | 1])), 3, 8, Budget()))
    with pytest.raises(ArtifactError, match="complete code"):
        whole(decode(Reader(b"\x00\x54\x02" + coded[3:]), 3, 8, Budget()))  # two bits each leave a code unused


def test_one_symbol_has_no_code():
    with pytest.raises(ArtifactError, match="at least two different symbols"):
        lengths(np.array([0, 7]))
