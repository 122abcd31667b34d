"""Existing zeros stay zero."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from compressjax import core, prune


def test_zeros_stay_zero_through_training(key):
    w = jax.random.normal(key, (6, 5)) * (jax.random.uniform(key, (6, 5)) > 0.5)
    params = {"kernel": w}
    tx = core.as_optax(prune.nonzero(), optax.adamw(0.1))
    state = tx.init(params)
    for _ in range(3):
        updates, state = tx.update({"kernel": jnp.ones((6, 5))}, state, params)
        params = optax.apply_updates(params, updates)
    np.testing.assert_array_equal(params["kernel"] == 0, w == 0)
    node = prune.nonzero().encode(params, state.compression)["kernel"]
    np.testing.assert_array_equal(node.mask, w != 0)
    np.testing.assert_array_equal(node.materialize(), params["kernel"])
    np.testing.assert_array_equal(prune.nonzero().view(params, state.compression)["kernel"], params["kernel"])
