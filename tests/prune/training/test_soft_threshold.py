"""STR: exact gradients, and a threshold that the decay raises until the loss resists."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from compressjax import core, prune
from compressjax.prune.training._soft_threshold import shrink
from tests import helpers

PARAMS = {"a": {"kernel": helpers.array(0, (10, 8)), "bias": helpers.array(1, (8,))}, "b": helpers.array(2, (8, 6))}
TARGET = {"a": {"kernel": helpers.array(3, (10, 8)), "bias": helpers.array(4, (8,))}, "b": helpers.array(5, (8, 6))}


def loss(params):
    return sum(jnp.sum(jnp.square(x - y)) for x, y in zip(jax.tree.leaves(params), jax.tree.leaves(TARGET)))


def test_gradients_are_exact():
    method = prune.soft_threshold(initial=-1.0, decay=0.2, optimizer=optax.sgd(1.0))
    state = method.init(PARAMS)

    def formula(params, logits):
        flat = {
            path: jnp.sign(x) * jax.nn.relu(jnp.abs(x) - jax.nn.sigmoid(logits[path]))
            for path, x in core.values(params).items()
            if path in logits
        }
        return loss(core.with_values(params, flat)) + 0.1 * sum(s**2 for s in logits.values())

    received, after = method.before_step(jax.grad(lambda p: loss(method.view(p, state)))(PARAMS), PARAMS, state)
    weights, slopes = jax.grad(formula, argnums=(0, 1))(PARAMS, state.logits)
    for x, y in zip(jax.tree.leaves(received), jax.tree.leaves(weights), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-6)
    for path, g in slopes.items():
        np.testing.assert_allclose(state.logits[path] - after.logits[path], g, rtol=1e-5)


@pytest.mark.thorough
def test_thresholds_rise_with_the_decay_and_differ_between_leaves():
    zeros = []
    for decay in (0.01, 3.0):
        method = prune.soft_threshold(initial=-4.0, decay=decay, optimizer=optax.sgd(0.02))
        tx = core.as_optax(method, optax.sgd(0.01))
        params, state = PARAMS, tx.init(PARAMS)
        for _ in range(30):
            grads = jax.grad(lambda p: loss(method.view(p, state.compression)))(params)  # noqa: B023
            updates, state = tx.update(grads, state, params)
            params = optax.apply_updates(params, updates)
        seen = core.values(method.view(params, state.compression))
        zeros.append(sum(int((seen[path] == 0).sum()) for path in ("a/kernel", "b")))
        logits = state.compression.logits
    assert zeros[1] > zeros[0] + 10
    assert logits["a/kernel"] != logits["b"]


@pytest.mark.parametrize("dtype", helpers.FLOATS)
def test_shrink_by_hand(dtype):
    x = jnp.array([-2.0, -0.5, -0.25, 0.0, 0.25, 0.5, 2.0], jnp.dtype(dtype))
    got = shrink(x, 0.5)
    assert got.dtype == x.dtype
    assert got.astype(jnp.float32).tolist() == [-1.5, 0.0, 0.0, 0.0, 0.0, 0.0, 1.5]
    assert not np.signbit(np.asarray(got.astype(jnp.float32))[1:]).any()


def test_bad_settings():
    with pytest.raises(ValueError, match="decay=-1"):
        prune.soft_threshold(decay=-1.0)
    with pytest.raises(ValueError, match="decay=nan"):
        prune.soft_threshold(decay=float("nan"))
    with pytest.raises(ValueError, match="initial=nan must be finite; -10 is"):
        prune.soft_threshold(initial=float("nan"))
