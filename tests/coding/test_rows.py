"""The class-wise mask codec: exact, and shorter than one density where rows differ."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compressjax.coding import ArtifactError
from compressjax.coding._limits import Budget
from compressjax.coding._mask import bernoulli
from compressjax.coding._rows import _entropy_bits, _odds, _partitions, _quantize, decode, encode
from compressjax.theory import binary_entropy
from tests.coding.samples import mask


def read(data, shape):
    out = np.empty(shape, bool)
    decode(data, out.reshape(-1), shape, Budget())
    return out


@given(st.lists(st.integers(2, 9), min_size=2, max_size=4), st.integers(0, 10**6), st.floats(0, 1))
def test_masks_come_back(shape, seed, density):
    rng = np.random.default_rng(seed)
    values = rng.random(shape) < density * rng.random((shape[0], *[1] * (len(shape) - 1)))
    coded = encode(values)
    assert coded is None or read(coded, values.shape).tolist() == values.tolist()


def test_dead_rows_pay():
    values = mask(0, 300, 200)
    rows_known = float(binary_entropy(values.mean(1)).sum()) * 200 / 8
    assert len(encode(values)) < 1.03 * rows_known + 250 < 0.8 * len(bernoulli(values.reshape(-1)))


@pytest.mark.parametrize("axis", range(3))
def test_any_axis_may_hold_the_classes(axis):
    shape = [12, 12, 12]
    density = np.linspace(0, 1, 12).reshape([-1 if a == axis else 1 for a in range(3)])
    values = np.random.default_rng(1).random(shape) < density
    assert len(encode(values)) < 0.85 * len(bernoulli(values.reshape(-1)))
    assert read(encode(values), values.shape).tolist() == values.tolist()


def test_rows_and_columns_together():
    density = np.linspace(0, 1, 200)[:, None] * np.linspace(0, 1, 150)[None]
    values = np.random.default_rng(2).random((200, 150)) < density
    assert len(encode(values)) < 1.06 * float(binary_entropy(density).sum()) / 8 + 100


def test_few_lines_and_one_axis_have_no_classes():
    assert encode(np.ones(100, bool)) is None
    assert encode(np.ones((1, 100), bool)) is None


@given(st.lists(st.integers(0, 20), min_size=3, max_size=7), st.integers(2, 4))
def test_cuts_are_the_best_among_all(kept, classes):
    """Brute force over all splits of the sorted lines at changes of level."""
    ordered = np.sort(kept)
    places = np.flatnonzero(np.diff(ordered)) + 1
    found = [(c, b) for c, b in _partitions(np.array(kept), 20) if c.max() + 1 == classes]
    if len(places) + 1 < classes:
        assert not found
        return

    def cost(groups: list[np.ndarray]) -> float:
        return sum(float(_entropy_bits(np.array(g.sum()), np.array(g.size * 20))) for g in groups)

    best = min(cost(np.split(ordered, cut)) for cut in itertools.combinations(places, classes - 1))
    line_class = found[0][0]
    assert cost([np.array(kept)[line_class == c] for c in range(classes)]) == pytest.approx(best, abs=1e-6)


def test_densities_are_exact_at_both_ends_and_close_between():
    assert _quantize(np.array([0, 5]), np.array([5, 5])).tolist() == [0, 127]
    for ones in (1, 30, 500, 970, 999):
        dropped, kept = _odds(int(_quantize(np.array(ones), np.array(1000))))
        assert kept / dropped == pytest.approx(ones / (1000 - ones), rel=0.1)


def test_altered_streams_are_refused():
    values = mask(3, 40, 30)
    coded = encode(values)
    with pytest.raises(ArtifactError, match="mask rows over axes"):
        read(b"\x01\x07" + coded[2:], values.shape)
    with pytest.raises(ArtifactError, match="mask classes"):
        read(coded[:2] + b"\x63" + coded[3:], values.shape)
    with pytest.raises(ArtifactError, match="damaged"):
        read(coded + b"\x01", values.shape)
