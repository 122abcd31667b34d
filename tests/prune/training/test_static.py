"""Fixed masks: random with exact counts, or as given."""

import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import core, prune
from tests import helpers

PARAMS = {"a": {"kernel": helpers.array(0, (20, 30)), "bias": helpers.array(1, (30,))}, "b": helpers.array(2, (30, 10))}


def test_erk_counts_by_hand(key):
    """20 x 30 and 30 x 10 at 20 %: densities c 50/600 and c 40/300 with c (50 + 40) = 180, so c = 2."""
    state = prune.static(0.8, key).init(PARAMS)
    assert {path: int(mask.sum()) for path, mask in state.masks.items()} == {"a/kernel": 100, "b": 80}


def test_masks_depend_on_the_key_and_never_on_the_weights(key):
    method = prune.static(0.5, key, distribution="uniform")
    state = method.init(PARAMS)
    other = method.init({**PARAMS, "b": 7 * PARAMS["b"]})
    assert helpers.difference(state, other) == ""
    assert method.after_step(PARAMS, state)[1] is state
    assert helpers.difference(core.only("b", method).init(PARAMS).masks["b"], state.masks["b"]) == ""
    np.testing.assert_array_equal(method.view(PARAMS, state)["b"], np.where(state.masks["b"], PARAMS["b"], 0))


def test_whole_units(key):
    """ERK by hand, as above: 100 of 600 entries are 5 of 30 neurons, 80 of 300 are 8 of 30 inputs."""
    for pattern, axis in (("neuron", 0), ("channel", 1)):
        state = prune.static(0.8, key, pattern=pattern).init(PARAMS)
        for path, kept in (("a/kernel", (5, 3)), ("b", (3, 8))):
            mask = np.asarray(state.masks[path])
            assert mask.any(axis).sum() == mask.all(axis).sum() == kept[axis]


def test_given_masks():
    mask = np.arange(300).reshape(30, 10) % 3 == 0
    method = prune.static(masks={"b": mask})
    state = method.init(PARAMS)
    assert bool(state.masks["a/kernel"].all())
    assert np.asarray(method.encode(PARAMS, state)["b"].mask).tolist() == mask.tolist()


def test_bad_settings(key):
    for settings, message in (
        ({}, "need sparsity"),
        ({"sparsity": 0.5}, "need sparsity"),
        ({"sparsity": 1.0, "key": key}, "sparsity=1.0"),
        ({"sparsity": 0.5, "key": key, "distribution": "global"}, "'global' needs a ranking"),
        ({"sparsity": 0.5, "key": key, "distribution": "layer"}, "unknown distribution 'layer'"),
        ({"sparsity": 0.5, "key": key, "masks": {}}, "either masks"),
        ({"sparsity": 0.5, "key": key, "pattern": "2:4"}, "static: pattern 2:4 .* under 'uniform'"),
        ({"sparsity": 0.5, "key": key, "pattern": "layer"}, "static: pattern layer removes whole leaves"),
    ):
        with pytest.raises(ValueError, match=message):
            prune.static(**settings)
    with pytest.raises(ValueError, match=r"mask of 'b' has shape \(2, 2\)"):
        prune.static(masks={"b": jnp.ones((2, 2), bool)}).init(PARAMS)
    with pytest.raises(ValueError, match=r"masks name \['c'\]"):
        prune.static(masks={"c": jnp.ones((2, 2), bool)}).init(PARAMS)
