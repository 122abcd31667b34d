"""Signatures: the share of equal entries estimates what two sets have in common; bands find pairs."""

import numpy as np

from compressjax.data.cleaning import _minhash


def pair(shared, own, draw, features=400):
    """Two rows with some tokens in common, and some of their own."""
    places = draw.permutation(features)[: shared + 2 * own]
    a, b = np.zeros((2, features), np.uint8)
    a[places[: shared + own]] = b[places[:shared]] = 1
    b[places[shared + own :]] = 1
    return np.stack([a, b])


def test_equal_entries_estimate_the_share_in_common(draw):
    for shared, own in [(90, 10), (30, 35), (10, 5)]:  # the last fills few of the places
        found = []
        for seed in range(8):
            signs = _minhash.signatures(pair(shared, own, draw), 128, seed)
            found.append((signs[0] == signs[1]).mean())
        want = shared / (shared + 2 * own)
        assert abs(np.mean(found) - want) < 4 * (want * (1 - want) / min(128, shared + own) / 8) ** 0.5


def test_bands_find_equal_rows_and_leave_empty_ones(draw):
    levels = np.concatenate([pair(20, 0, draw), np.zeros((2, 400), np.uint8), pair(0, 20, draw)])
    signs = _minhash.signatures(levels, 32, 0, batch=4)
    assert (signs[2:4] == np.uint32(2**32 - 1)).all()
    assert [0, 1] in _minhash.candidates(signs, 8).tolist()
    assert [2, 3] not in _minhash.candidates(signs, 8).tolist()
    assert _minhash.candidates(signs[4:], 2).shape == (0, 2)
