"""Alternating least squares against the normal equations, one user at a time in NumPy."""

import numpy as np
import pytest

from compressjax import data
from compressjax.data.decomposition import _recommender


def by_hand(table, seen, items, ridge, steps, confidence=None):
    mean = 0 if confidence else table[seen].mean()
    for _ in range(steps):
        users = np.stack([one(table[u], seen[u], items, ridge, mean, confidence) for u in range(len(table))])
        items = np.stack([one(table[:, i], seen[:, i], users, ridge, mean, confidence) for i in range(table.shape[1])])
    return mean + users @ items.T


def one(ratings, seen, factors, ridge, mean, confidence):
    if confidence:
        weights, wish, scale = 1 + confidence * ratings * seen, seen * 1.0, 1
    else:
        weights, wish, scale = seen * 1.0, (ratings - mean) * seen, max(seen.sum(), 1)
    left = (factors * weights[:, None]).T @ factors + ridge * scale * np.eye(factors.shape[1])
    return np.linalg.solve(left, factors.T @ (weights * wish))


@pytest.mark.turns(2)
@pytest.mark.parametrize("confidence", [None, 2.0])
@pytest.mark.parametrize("block", [2**22, 24])
def test_every_step_solves_the_normal_equations(confidence, block, draw, key, monkeypatch):
    monkeypatch.setattr(_recommender, "_BLOCK", block)
    _recommender._solve.clear_cache()
    table, seen = draw.integers(1, 6, (5, 4)).astype(float), draw.random((5, 4)) < 0.7
    u, v = np.nonzero(seen)
    found = data.als(u, v, table[seen], 2, key, shape=(5, 4), ridge=0.3, steps=3, confidence=confidence)
    import jax

    expected = by_hand(table, seen, 0.1 * np.asarray(jax.random.normal(key, (4, 2))), 0.3, 3, confidence)
    np.testing.assert_allclose(found.scores(np.arange(5)), expected, atol=2e-3)
    np.testing.assert_allclose(found.predict(u, v), expected[seen], atol=2e-3)


def test_bad_arguments_are_named(key):
    for users, ratings, more, said in (
        ([0, -1], [1.0, 2.0], {}, "users must be integers from 0"),
        ([0, 1], [1.0, np.nan], {}, "the rating at place 1 is nan"),
        ([0, 1], [1.0, -2.0], {"confidence": 1.0}, "the rating at place 1 is -2.0"),
        ([0, 7], [1.0, 2.0], {"shape": (5, 5)}, "user 7 at place 1 is not below 5"),
        ([0], [1.0, 2.0], {}, r"shapes \(1,\), \(2,\) and \(2,\)"),
        ([0, 1], [1.0, 2.0], {"ridge": 0}, "ridge=0"),
    ):
        with pytest.raises(ValueError, match=said):
            data.als(users, [0, 1], ratings, 2, key, **more)
