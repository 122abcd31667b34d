"""SET: drops weak weights and grows random ones from zero."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from compressjax import prune
from tests.prune.training.test_rigl import PARAMS, history


def test_counts_values_and_places(key):
    method = prune.set_(0.5, key, end=100, every=1, fraction=0.3, anneal=False, distribution="uniform")
    rows = history(method, optax.sgd(0.05, momentum=0.9), 6)
    born = np.zeros((8, 12))
    for (_, before, _), (params, after, grads) in zip(rows, rows[1:]):
        was, mask = (np.asarray(s.compression.masks["a/kernel"]) for s in (before, after))
        grown = mask & ~was
        assert mask.sum() == 48
        assert grown.sum() == (int(0.3 * 48) if after.compression.count > 1 else 0)
        value = np.asarray(params["a"]["kernel"])
        assert not value[~mask].any()
        np.testing.assert_allclose(value[grown], -0.05 * np.asarray(grads["a"]["kernel"])[grown], rtol=1e-5)
        born += grown
    # Random places: hardly the same ones at every step.
    assert (born > 0).sum() > 40


@pytest.mark.thorough
def test_the_weakest_go(key):
    method = prune.set_(0.5, key, end=10, every=1, fraction=0.5, anneal=False, distribution="uniform")
    state = method.after_step(PARAMS, method.init(PARAMS))[1]
    _, after = method.before_step(PARAMS, PARAMS, state)
    size = np.abs(PARAMS["b"]["kernel"])
    was, mask = np.asarray(state.masks["b/kernel"]), np.asarray(after.masks["b/kernel"])
    assert size[was & ~mask].max() < size[was & mask].min()
    _, later = method.before_step(PARAMS, PARAMS, method.after_step(PARAMS, after)[1])
    assert not np.array_equal(later.masks["b/kernel"], mask)


def test_a_weight_whose_gradient_is_no_number_grows_last(key):
    method = prune.set_(0.5, key, end=10, every=1, fraction=0.9, anneal=False, distribution="uniform")
    state = method.after_step(PARAMS, method.init(PARAMS))[1]
    was = np.asarray(state.masks["b/kernel"])
    grads = {**PARAMS, "b": {**PARAMS["b"], "kernel": jnp.ones((12, 4)).at[:, 0].set(jnp.nan)}}
    grown = np.asarray(method.before_step(grads, PARAMS, state)[1].masks["b/kernel"]) & ~was
    assert grown.sum() == int(0.9 * 24)
    assert grown[:, 0].sum() == max(0, grown.sum() - (~was)[:, 1:].sum())


@pytest.mark.thorough
def test_masks_stay_after_the_end(key):
    method = prune.set_(0.5, key, end=3, every=1)
    state = method.init(PARAMS)
    masks = []
    for _ in range(5):
        state = method.after_step(PARAMS, jax.jit(method.before_step)(PARAMS, PARAMS, state)[1])[1]
        masks.append(np.asarray(state.masks["a/kernel"]))
    assert [np.array_equal(masks[1], m) for m in masks] == [False, True, True, True, True]
