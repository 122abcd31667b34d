"""Lloyd's iteration against scikit-learn and against the optimum."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from sklearn.cluster import KMeans

from compressjax.share._lloyd import assign, cluster_means, lloyd
from tests.share.optimal import optimal

X = np.random.default_rng(0).uniform(-1, 1, 800).astype(np.float32) ** 3


# Compiled once for all drawn values.
three = {
    init: jax.jit(functools.partial(lloyd, clusters=3, init=init, ignore_zeros=False)) for init in ("linear", "optimal")
}


def error(x, centroids, codes):
    return float(((x - np.asarray(centroids)[np.asarray(codes)]) ** 2).sum())


@pytest.mark.parametrize("k", [4, 9])
def test_equals_scikit_learn_from_the_same_start(k):
    # On values without gaps no cluster is ever empty; there scikit-learn would move it elsewhere.
    start = np.linspace(X.min(), X.max(), k)[:, None]
    theirs = KMeans(k, init=start, n_init=1, max_iter=500, tol=0).fit(X[:, None])
    centroids, codes = lloyd(jnp.asarray(X), k, iterations=500)
    np.testing.assert_allclose(centroids, np.sort(theirs.cluster_centers_[:, 0]), atol=1e-4)
    assert error(X, centroids, codes) == pytest.approx(theirs.inertia_, rel=1e-4)


@given(st.lists(st.floats(-10, 10, width=32), min_size=12, max_size=12), st.sampled_from(["linear", "optimal"]))
def test_never_beats_the_optimum(x, init):
    x = np.array(x, np.float32)
    centroids, codes = three[init](jnp.asarray(x))
    assert error(x, centroids, codes) >= optimal(x, 3)[1] * (1 - 1e-5) - 1e-6


@pytest.mark.parametrize("init", ["linear", "optimal"])
def test_sorted_values_on_the_host_give_what_the_program_gives(init):
    x = jnp.asarray(X[:12])
    for ours, theirs in zip(lloyd(x, 3, init=init, ignore_zeros=False), three[init](x), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5)


MORE = (scipy.stats.laplace, scipy.stats.uniform, scipy.stats.t(4))


@pytest.mark.thorough
@pytest.mark.parametrize(
    "draw", [scipy.stats.norm, *(pytest.param(d, marks=pytest.mark.thorough) for d in MORE)], ids=lambda d: str(d)[:20]
)
def test_optimal_start_comes_near_the_optimum(draw):
    x = draw.rvs(size=3000, random_state=0).astype(np.float32)
    best = optimal(x, 16)[1]
    near = {init: error(x, *lloyd(jnp.asarray(x), 16, init=init)) / best for init in ("linear", "quantile", "optimal")}
    assert near["optimal"] < 1.01
    assert near["optimal"] <= 1.001 * min(near.values())


def test_fixed_point():
    centroids, codes = lloyd(jnp.asarray(X), 8, iterations=500)
    np.testing.assert_array_equal(codes, np.abs(X[:, None] - np.asarray(centroids)).argmin(1))
    means = [X[np.asarray(codes) == k].astype(np.float64).mean() for k in range(8)]
    np.testing.assert_allclose(centroids, means, atol=1e-5)


def test_zeros_have_no_say_unless_told():
    x = jnp.concatenate([jnp.zeros(1000), jnp.array([1.0, 1.2, 4.0, 4.2])])
    centroids, codes = lloyd(x, 2)
    np.testing.assert_allclose(centroids, [1.1, 4.1], rtol=1e-6)
    assert not np.any(codes[:1000])
    with_zeros, _ = lloyd(x, 2, ignore_zeros=False)
    assert float(with_zeros[0]) < 0.1


@pytest.mark.turns(3)
@pytest.mark.parametrize("init", ["linear", "quantile", "optimal"])
def test_degenerate_values(init):
    np.testing.assert_array_equal(lloyd(jnp.zeros(5), 4, init=init)[0], 0.0)
    centroids, codes = lloyd(jnp.full(5, 3.0), 4, init=init)
    np.testing.assert_array_equal(centroids[codes], 3.0)
    few, codes = lloyd(jnp.array([1.0, 2.0]), 4, init=init)
    assert few.shape == (4,)
    assert np.all(np.isfinite(few))


@pytest.mark.thorough
def test_accurate_for_many_members(key):
    # A naive float32 sum of a million values near 1000 is off by far more than this.
    x = 1000.0 + jax.random.normal(key, (1_000_000,))
    means = cluster_means(x, jnp.zeros(x.shape, jnp.int32), jnp.array([1000.0]), jnp.ones(x.shape, bool))
    assert abs(float(means[0]) - np.asarray(x, np.float64).mean()) < 1e-4


def test_assign_breaks_ties_downwards():
    assert assign(jnp.array([1.5, 1.6, -9.0, 9.0]), jnp.array([1.0, 2.0, 3.0])).tolist() == [0, 1, 0, 2]
    many = jnp.linspace(0.0, 1.0, 64)
    np.testing.assert_array_equal(assign(many, many), jnp.arange(64))


def test_shapes_under_jit(key):
    centroids, codes = jax.jit(lambda x: lloyd(x, 5))(jax.random.normal(key, (4, 6)).astype(jnp.bfloat16))
    assert centroids.dtype == jnp.float32
    assert codes.shape == (4, 6)
