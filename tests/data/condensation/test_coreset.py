"""Coresets against brute force in NumPy and the bounds of the papers."""

import itertools

import numpy as np
import pytest

from compressjax import data
from tests.data import laws


def test_centers_are_those_of_brute_force_and_keep_the_bound(draw):
    x = draw.normal(size=(14, 2)).astype(np.float32)
    between = np.linalg.norm(x[:, None] - x[None], axis=2)
    chosen = [5]
    while len(chosen) < 3:
        chosen.append(int(between[:, chosen].min(1).argmax()))
    found = data.k_center(x, 3, start=5)
    assert found.places.tolist() == chosen
    np.testing.assert_allclose(found.distances, between[:, chosen].min(1), atol=1e-5)
    np.testing.assert_array_equal(found.owners, between[:, chosen].argmin(1))
    best = min(between[:, list(c)].min(1).max() for c in itertools.combinations(range(14), 3))
    assert best - 1e-6 <= float(found.distances.max()) <= 2 * best


def test_herded_rows_are_those_of_brute_force_and_have_the_mean(draw):
    x = laws.digits()[:80] / 16
    found = data.herding(x, 10)
    weights, chosen = x.mean(0), []
    for _ in range(10):
        scores = x @ weights
        scores[chosen] = -np.inf
        chosen.append(int(scores.argmax()))
        weights = weights + x.mean(0) - x[chosen[-1]]
    assert found.places.tolist() == chosen
    miss = np.linalg.norm(x[chosen].mean(0) - x.mean(0))
    random = [np.linalg.norm(x[draw.permutation(80)[:10]].mean(0) - x.mean(0)) for _ in range(50)]
    assert miss < min(random)
    np.testing.assert_allclose(found.distances, np.linalg.norm(x[:, None] - x[chosen][None], axis=2).min(1), atol=1e-4)


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="k=4 must be at least 1 and at most the 3 rows"):
        data.k_center(np.ones((3, 2)), 4)
    with pytest.raises(ValueError, match="start=3 one of them"):
        data.k_center(np.ones((3, 2)), 1, start=3)
    with pytest.raises(ValueError, match="row 0, column 1 is inf"):
        data.herding(np.array([[1.0, np.inf]]), 1)
