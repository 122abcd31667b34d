"""SynFlow: conservation, iterated masks against a NumPy loop, depth without overflow, no layer collapse."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import saliency
from tests.saliency.networks import make, network


@pytest.mark.turns(3)
@pytest.mark.parametrize("depth", [2, 40])
@pytest.mark.parametrize("sparsity", [0.0, 0.5])
def test_layers_have_equal_sums(depth, sparsity):
    params = make((12,) * (depth + 1))
    flow = saliency.synflow(network, jnp.zeros((1, 12)), sparsity, steps=5)
    sums = np.array([float(jnp.sum(s)) for s in flow.score(params).values()])
    assert np.all(np.isfinite(sums))
    assert sums[0] > 0
    np.testing.assert_allclose(sums, sums[0], rtol=1e-5)


def test_large_weights_in_depth_do_not_overflow():
    params = jax.tree.map(lambda x: 1e3 * x, make((30,) * 31))
    scores = saliency.synflow(network, jnp.zeros((1, 30))).score(params)
    assert all(np.isfinite(s).all() for s in scores.values())


def numpy_scores(kernels):
    """s = |w| * (flow into its input) * (flow out of its output), by forward and backward products."""
    into = [np.ones(kernels[0].shape[0])]
    for w in kernels:
        into.append(into[-1] @ w)
    out = [np.ones(kernels[-1].shape[1])]
    for w in kernels[::-1]:
        out.append(w @ out[-1])
    out = out[::-1]
    return [w * np.outer(a, b) for w, a, b in zip(kernels, into, out[1:])]


def test_rounds_are_those_of_a_numpy_loop():
    params, sparsity, steps = make((6, 8, 7, 4)), 0.8, 10
    got = saliency.synflow(network, jnp.zeros((1, 6)), sparsity, steps=steps).score(params)
    kernels = [np.abs(np.asarray(p["kernel"], np.float64)) for p in params.values()]
    size = sum(w.size for w in kernels)
    for k in range(1, steps):
        flat = np.concatenate([s.ravel() for s in numpy_scores(kernels)])
        kept = np.argsort(-flat, kind="stable")[: round(size * (1 - sparsity) ** (k / steps))]
        mask = np.isin(np.arange(size), kept)
        start = 0
        for i, w in enumerate(kernels):
            kernels[i] = w * mask[start : start + w.size].reshape(w.shape)
            start += w.size
    want = numpy_scores(kernels)
    ratio = float(got["layer_0/kernel"].sum()) / want[0].sum()
    for g, w in zip(got.values(), want):
        np.testing.assert_allclose(g, w * ratio, rtol=1e-4, atol=1e-7)


@pytest.mark.thorough
def test_no_layer_collapses():
    # One narrow layer of large fan-in has the smallest scores: at once it would lose everything.
    params = make((4, 60, 60, 4))
    keep = 3 * 4
    sparsity = 1 - keep / sum(p["kernel"].size for p in params.values())
    collapsed = {}
    for steps in (1, 100):
        scores = saliency.synflow(network, jnp.zeros((1, 4)), sparsity, steps=steps).score(params)
        flat = jnp.concatenate([s.ravel() for s in scores.values()])
        threshold = jnp.sort(flat)[-keep]
        collapsed[steps] = min(int((s >= threshold).sum()) for s in scores.values()) == 0
    assert collapsed == {1: True, 100: False}


def test_biases_take_part_unscored():
    params = make(bias=True)
    assert set(saliency.synflow(network, jnp.zeros((1, 4))).score(params)) == {"layer_0/kernel", "layer_1/kernel"}


def test_bad_settings():
    for settings in ({"sparsity": 1.0}, {"steps": 0}):
        with pytest.raises(ValueError, match="sparsity=.* steps="):
            saliency.synflow(network, jnp.zeros((1, 4)), **settings)
    with pytest.raises(ValueError, match="selects nothing; the tree has"):
        saliency.synflow(network, jnp.zeros((1, 4)), select="no").score(make())
