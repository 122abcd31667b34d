"""Wanda against a NumPy loop over outputs, for every kind of layer."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import core, prune
from compressjax.interpret import observe
from tests import helpers
from tests.prune.layers import apply, correlated, error, pruned


@pytest.mark.parametrize("sparsity", [0.0, 0.25, 0.5, 0.9])
def test_every_output_keeps_its_largest(sparsity):
    x, params = correlated(0)
    node = pruned(prune.wanda(sparsity), params, x)
    w, norms = np.asarray(params["kernel"]), np.linalg.norm(np.asarray(x), axis=0)
    for j in range(w.shape[1]):
        keep = np.argsort(-np.abs(w[:, j]) * norms)[: round(24 * (1 - sparsity))]
        np.testing.assert_array_equal(np.flatnonzero(node.mask[:, j]), np.sort(keep))
    np.testing.assert_array_equal(node.materialize(), np.where(node.mask, w, 0))


@pytest.mark.parametrize(("n", "m"), [(2, 4), (1, 4), (4, 8)])
def test_n_of_m_inputs_of_every_output(n, m):
    x, params = correlated(1)
    mask = np.asarray(pruned(prune.wanda(pattern=f"{n}:{m}"), params, x).mask)
    assert (mask.reshape(-1, m, 10).sum(1) == n).all()
    scores = np.abs(np.asarray(params["kernel"])) * np.linalg.norm(np.asarray(x), axis=0)[:, None]
    for g in range(24 // m):
        for j in range(10):
            keep = np.argsort(-scores[g * m : (g + 1) * m, j])[:n]
            np.testing.assert_array_equal(np.flatnonzero(mask[g * m : (g + 1) * m, j]), np.sort(keep))


@pytest.mark.thorough
def test_convolutions_and_stacks():
    params = {"conv": helpers.array(0, (3, 3, 2, 5)), "layers": helpers.array(1, (3, 5, 5))}

    def fn(params, x):
        y = jax.lax.conv_general_dilated(x, params["conv"], (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
        return jax.lax.scan(lambda y, w: (jnp.tanh(y @ w), None), y.mean((1, 2)), params["layers"])[0]

    _, stats = observe(fn, gram=False)(params, helpers.array(2, (4, 6, 6, 2)))
    tree = core.compress(params, {".*": prune.wanda(0.5)}, stats)
    assert (np.asarray(tree["conv"].mask).reshape(18, 5).sum(0) == 9).all()
    assert (np.asarray(tree["layers"].mask).sum(1) == 2).all()
    norms = np.sqrt(np.asarray(stats["layers"].squares))
    for layer in range(3):
        scores = np.abs(np.asarray(params["layers"][layer])) * norms[layer][:, None]
        np.testing.assert_array_equal(tree["layers"].mask[layer], scores >= np.sort(scores, axis=0)[-2][None])


@pytest.mark.turns(2)
@pytest.mark.parametrize("seed", range(4))
def test_loses_less_than_magnitude_where_inputs_differ(seed):
    x, params = correlated(seed)
    assert error(pruned(prune.wanda(0.5), params, x), params, x) < error(
        pruned(prune.magnitude(0.5), params, x), params, x
    )


def test_bad_settings():
    wrong = {"sparsity": 0.5, "pattern": "neuron"}, {"sparsity": 0.9, "pattern": "2:4"}
    for settings in ({}, {"sparsity": 1.0}, *wrong):
        with pytest.raises(ValueError, match="sparsity|layer by layer|leaves"):
            prune.wanda(**settings)
    for make in (prune.wanda, prune.sparsegpt):
        with pytest.raises(ValueError, match="give the pattern by name, as '2:4'; the statistics give the input axes"):
            make(pattern=prune.patterns.nm(2, 4, axis=0))
    x, params = correlated(0)
    with pytest.raises(ValueError, match="not divisible by 7"):
        pruned(prune.wanda(pattern="2:7"), params, x)


@pytest.mark.thorough
def test_distributions():
    params = {"a": helpers.array(0, (16, 16)), "b": helpers.array(1, (16, 4))}
    _, stats = observe(lambda p, x: jnp.tanh(x @ p["a"]) @ p["b"])(params, helpers.array(2, (40, 16)))
    tree = core.compress(params, {".*": prune.wanda(0.75, distribution={"b": 0.25})}, stats)
    assert [int(tree[name].mask.sum()) for name in ("a", "b")] == [64, 48]
    for settings in ({"sparsity": 0.5, "distribution": "global"}, {"pattern": "2:4", "distribution": "erk"}):
        with pytest.raises(ValueError, match="has no meaning|under 'uniform'"):
            prune.wanda(**settings)


def test_statistics_of_no_rows_choose_nothing():
    x, params = correlated(2)
    _, stats = observe(apply)(params, x)
    unseen = {"kernel": stats["kernel"].replace(count=0 * stats["kernel"].count)}
    with pytest.raises(ValueError, match="kernel  no input reached it while observing"):
        core.compress(params, {".*": prune.wanda(0.5)}, unseen)
