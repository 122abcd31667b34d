"""Isolation by projection: closed forms, a walk by hand, and scikit-learn's order."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.ensemble import IsolationForest

from compressjax import data
from compressjax.data.cleaning import _isolation


def test_the_mean_path_is_the_closed_form():
    want = [2 * sum(1 / i for i in range(1, n)) - 2 * (n - 1) / n for n in (2, 3, 10, 256)]
    np.testing.assert_allclose(_isolation.mean_path(jnp.array([2.0, 3.0, 10.0, 256.0])), want, rtol=1e-5)
    assert _isolation.mean_path(jnp.array([0.0, 1.0])).tolist() == [0, 0]


def walked(fitted, x):
    """The mean length of paths, node by node."""
    z = (x - np.asarray(fitted.center)) / np.asarray(fitted.scale)
    lengths = []
    for directions, cuts, sizes in zip(*(np.asarray(part) for part in fitted[2:5])):
        node, first, steps = 0, 0, 0
        for level, direction in enumerate(directions):
            steps += sizes[first + node] > 1
            node, first = 2 * node + int(z @ direction > cuts[first + node]), first + 2**level
        n = sizes[first + node]
        lengths.append(steps + (2 * sum(1 / i for i in range(1, int(n))) - 2 * (n - 1) / n if n > 1 else 0))
    return np.mean(lengths)


def test_scores_are_those_of_a_walk_and_order_rows_as_scikit_learn(draw):
    x = draw.normal(size=(128, 3)).astype(np.float32)
    x[:6] *= 6
    fitted = data.fit(data.isolation_forest(trees=40, rows=64, sample=128), x)
    scores = np.asarray(jax.jit(lambda f, x: f.scores(x))(fitted, x))
    for i in (0, 50):
        assert scores[i] == pytest.approx(2 ** (-walked(fitted, x[i]) / float(fitted.usual)), rel=1e-4)
    sizes = np.asarray(fitted.sizes)
    assert (sizes[:, 0] == 64).all()
    assert (sizes[:, -(2 ** math.ceil(math.log2(64))) :].sum(1) == 64).all()
    reference = -IsolationForest(n_estimators=100, max_samples=64, random_state=0).fit(x).score_samples(x)
    assert spearmanr(scores, reference).statistic > 0.9
    assert set(np.argsort(-scores)[:6]) == set(range(6))
    assert fitted.transform(x[:2]).shape == (2, 1)


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="1 rows cannot be told apart"):
        data.fit(data.isolation_forest(trees=1, rows=2, sample=4), np.ones((1, 2)))
    with pytest.raises(ValueError, match="sample=3 at least rows"):
        data.isolation_forest(rows=4, sample=3)
