"""Starts against NumPy, and the histogram's optimum against the exact one."""

import jax.numpy as jnp
import numpy as np
import pytest

from compressjax.share._start import start
from tests.share.optimal import optimal

X = np.random.default_rng(1).laplace(size=2000).astype(np.float32)
ALL = jnp.ones(X.shape, bool)


def error(x, centroids):
    return float(np.min((x[:, None] - np.asarray(centroids, np.float64)) ** 2, axis=1).sum())


def test_linear_and_quantile():
    np.testing.assert_allclose(start(jnp.asarray(X), ALL, 5, "linear"), np.linspace(X.min(), X.max(), 5), rtol=1e-5)
    want = np.quantile(X, (np.arange(5) + 0.5) / 5)
    np.testing.assert_allclose(start(jnp.asarray(X), ALL, 5, "quantile"), want, atol=0.02)


@pytest.mark.turns(3)
@pytest.mark.parametrize("k", [2, 7, 40])
def test_the_optimum_of_the_histogram_is_near_the_exact_one(k):
    centroids = start(jnp.asarray(X), ALL, k, "optimal")
    assert np.all(np.diff(centroids) >= 0)
    assert error(X, centroids) < 1.01 * optimal(X, k)[1]


def test_few_distinct_values_are_found_exactly():
    x = jnp.array([5.0, -1.0, 5.0, 0.25, -1.0, 3.0] * 3)
    np.testing.assert_allclose(start(x, jnp.ones(18, bool), 4, "optimal"), [-1.0, 0.25, 3.0, 5.0], rtol=1e-6)
    assert set(np.round(start(x, jnp.ones(18, bool), 6, "optimal"), 5).tolist()) >= {-1.0, 0.25, 3.0, 5.0}


@pytest.mark.turns(3)
@pytest.mark.parametrize("init", ["linear", "quantile", "optimal"])
def test_only_counted_entries_have_a_say(init):
    x = jnp.concatenate([jnp.asarray(X), jnp.full(500, 99.0)])
    counted = jnp.concatenate([ALL, jnp.zeros(500, bool)])
    np.testing.assert_allclose(start(x, counted, 6, init), start(jnp.asarray(X), ALL, 6, init), rtol=1e-5)
    np.testing.assert_array_equal(start(x, jnp.zeros(2500, bool), 6, init), 0.0)
