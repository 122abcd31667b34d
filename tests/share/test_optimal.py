"""Dynamic programming against trying every partition."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.share.optimal import optimal


def brute_force(x, k):
    x = np.sort(np.asarray(x, np.float64))
    best = np.inf
    for cuts in itertools.combinations(range(1, len(x)), min(k, len(x)) - 1):
        parts = np.split(x, cuts)
        best = min(best, sum(((p - p.mean()) ** 2).sum() for p in parts))
    return best


@given(st.lists(st.integers(-20, 20), min_size=1, max_size=9), st.integers(1, 5))
def test_equals_every_partition_tried(x, k):
    centroids, error = optimal(x, k)
    assert error == pytest.approx(brute_force(x, k), abs=1e-9)
    assert list(centroids) == sorted(centroids)
    nearest = np.min((np.asarray(x, float)[:, None] - centroids) ** 2, axis=1).sum()
    assert nearest == pytest.approx(error, abs=1e-9)


def test_more_clusters_never_hurt():
    x = np.random.default_rng(0).laplace(size=300)
    errors = [optimal(x, k)[1] for k in (1, 2, 3, 5, 8, 16)]
    assert errors == sorted(errors, reverse=True)
    assert errors[0] == pytest.approx(((x - x.mean()) ** 2).sum())


def test_large_offsets_do_not_lose_digits():
    x = np.random.default_rng(0).normal(size=50)
    assert optimal(x + 1e6, 4)[1] == pytest.approx(optimal(x, 4)[1], rel=1e-6)


def test_bad_arguments():
    with pytest.raises(ValueError, match="clusters=0"):
        optimal([1.0], 0)
    with pytest.raises(ValueError, match="it got 0 values"):
        optimal([], 2)
