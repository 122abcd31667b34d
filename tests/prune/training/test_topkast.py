"""Top-KAST: sets, gradient and penalty against jax.grad of the penalized loss."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from compressjax import core, prune
from tests import helpers

PARAMS = {"a": {"kernel": helpers.array(0, (10, 8)), "bias": helpers.array(1, (8,))}}


def ranks(x):
    return np.argsort(np.argsort(-np.abs(np.asarray(x)).ravel(), kind="stable"), kind="stable").reshape(x.shape)


def test_two_nested_sets():
    state = prune.topkast(0.9, 0.75).init(PARAMS)
    order = ranks(PARAMS["a"]["kernel"])
    np.testing.assert_array_equal(state.forward["a/kernel"], order < 8)
    np.testing.assert_array_equal(state.backward["a/kernel"], order < 20)


@pytest.mark.parametrize("norm", [1, 2])
def test_the_gradient_is_that_of_the_penalized_loss(norm):
    method = prune.topkast(0.8, 0.5, penalty=0.3, norm=norm)
    state, weight, target = method.init(PARAMS), PARAMS["a"]["kernel"], helpers.array(2, (10, 8))
    grads = jax.grad(lambda p: jnp.sum((method.view(p, state)["a"]["kernel"] - target) ** 2))(PARAMS)
    received, _ = method.before_step(grads, PARAMS, state)
    order = ranks(weight)
    a, b = order < 16, order < 40

    def loss(w):
        size = jnp.abs(w) if norm == 1 else w**2 / 2
        # The loss sees A W; its gradient is taken as if B W were used, at the same place.
        through = jnp.where(a, w, 0) + (jnp.where(b & ~a, w, 0) - jax.lax.stop_gradient(jnp.where(b & ~a, w, 0)))
        return jnp.sum((through - target) ** 2) + 0.3 * (jnp.sum(size * a) + jnp.sum(size * (b & ~a)) / 0.2)

    np.testing.assert_allclose(received["a"]["kernel"], jax.grad(loss)(weight), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(received["a"]["bias"], grads["a"]["bias"])


def test_what_is_outside_the_larger_set_never_moves():
    method = prune.topkast(0.8, 0.6, every=100)
    tx = core.as_optax(method, optax.adamw(0.1, weight_decay=0.3))
    state = tx.init(PARAMS)
    updates, state = tx.update(jax.tree.map(jnp.ones_like, PARAMS), state, PARAMS)
    moved = np.asarray(updates["a"]["kernel"]) != 0
    np.testing.assert_array_equal(moved, ranks(PARAMS["a"]["kernel"]) < 32)


def test_weights_change_places_and_exploration_ends():
    method = prune.topkast(0.8, 0.5, every=2, explore_until=5)
    state = method.init(PARAMS)
    sizes = []
    for i in range(6):
        state = jax.jit(method.after_step)({"a": {"kernel": helpers.array(i, (10, 8))}}, state)[1]
        sizes.append((int(state.forward["a/kernel"].sum()), int(state.backward["a/kernel"].sum())))
    assert sizes == [(16, 40)] * 5 + [(16, 16)]
    np.testing.assert_array_equal(state.forward["a/kernel"], ranks(helpers.array(5, (10, 8))) < 16)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sparsity": 0.5, "backward_sparsity": 0.6}, "exceeds sparsity=0.5"),
        ({"sparsity": 1.5, "backward_sparsity": 0.6}, "sparsity=1.5"),
        ({"sparsity": 0.5, "backward_sparsity": 0.1, "norm": 3}, "norm=3"),
        ({"sparsity": 0.5, "backward_sparsity": 0.1, "penalty": float("nan")}, "penalty=nan"),
        ({"sparsity": 0.5, "backward_sparsity": 0.1, "explore_until": -3}, "explore_until=-3 must be at least 0"),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        prune.topkast(**settings)
