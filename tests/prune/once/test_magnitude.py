"""One-shot pruning against a NumPy threshold."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import core, prune


def test_keeps_the_largest(key):
    params = {"kernel": jax.random.normal(key, (10, 10)), "bias": jnp.ones(10)}
    node = core.compress(params, {"kernel": prune.magnitude(0.9)})["kernel"]
    kept = np.sort(np.abs(np.asarray(node.materialize())[np.asarray(node.mask)]))
    np.testing.assert_array_equal(kept, np.sort(np.abs(np.asarray(params["kernel"])).ravel())[-10:])


def test_masks_stay_when_the_weights_change(key):
    params = {"kernel": jax.random.normal(key, (10, 10))}
    compression = prune.magnitude(0.5)
    state = compression.init(params)
    later = compression.after_step(jax.tree.map(lambda x: 1 / x, params), state)[1]
    np.testing.assert_array_equal(state.masks["kernel"], later.masks["kernel"])


@pytest.mark.parametrize("distribution", ["uniform", "global", "erk"])
def test_every_distribution_has_the_total(key, distribution):
    params = {"a": jax.random.normal(key, (17, 13)), "b": jax.random.normal(key, (9, 5))}
    masks = prune.magnitude(0.3, distribution).init(params).masks
    assert abs(sum(int(m.sum()) for m in masks.values()) - 0.7 * (17 * 13 + 45)) <= 1


def test_name_and_errors():
    assert core.only("a", prune.magnitude(0.5)).name == "magnitude(sparsity=0.5)"
    with pytest.raises(ValueError, match="sparsity=2"):
        prune.magnitude(2)


def test_nan_is_not_pruned_into_a_clean_zero():
    params = {"kernel": jnp.array([[3.0, jnp.nan, 1.0, 2.0]])}
    with pytest.raises(ValueError, match="'kernel' has 1 non-finite weights of 4"):
        core.compress(params, {"kernel": prune.magnitude(0.5)})
