"""Local SGD and DiLoCo against loops in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from compressjax.gradients import diloco, exchange, local_sgd, top_k
from tests.gradients.workers import AXIS, WORKERS

TARGETS = np.linspace(-1, 1, WORKERS * 4).reshape(WORKERS, 2, 2).astype(np.float32)


def train(tx, steps):
    """Parameters of every step and worker, whose loss is half of the squared distance to a target of its own."""

    def worker(target):
        def step(carry, _):
            params, state = carry
            updates, state = tx.update({"kernel": params["kernel"] - target}, state, params)
            params = optax.apply_updates(params, updates)
            return (params, state), params["kernel"]

        params = {"kernel": jnp.zeros((2, 2))}
        return jax.lax.scan(step, (params, tx.init(params)), length=steps)[1]

    return np.asarray(jax.jit(jax.vmap(worker, out_axes=1, axis_name=AXIS))(TARGETS))


def test_local_steps_and_averages():
    found, x = train(local_sgd(optax.sgd(0.3), 2, AXIS), 4), np.zeros((WORKERS, 2, 2))
    for step in range(4):
        x = x - 0.3 * (x - TARGETS)
        if step % 2:
            x = np.broadcast_to(x.mean(0), x.shape)
        np.testing.assert_allclose(found[step], x, atol=1e-6)


def test_outer_steps_have_momentum():
    found = train(diloco(optax.sgd(0.3), optax.sgd(0.7, momentum=0.9, nesterov=True), 2, AXIS), 6)
    anchor, momentum, x = np.zeros((2, 2)), np.zeros((2, 2)), np.zeros((WORKERS, 2, 2))
    for step in range(6):
        x = x - 0.3 * (x - TARGETS)
        if step % 2:
            change = anchor - x.mean(0)
            momentum = 0.9 * momentum + change
            anchor = anchor - 0.7 * (change + 0.9 * momentum)
            x = np.broadcast_to(anchor, x.shape)
        np.testing.assert_allclose(found[step], x, atol=1e-6)


@pytest.mark.thorough
def test_changes_travel_by_short_messages():
    """All entries of a top-k message are the plain mean; a few leave errors, and workers agree all the same."""
    whole, few = (train(local_sgd(optax.sgd(0.3), 2, AXIS, exchange=exchange(top_k(s), AXIS)), 4) for s in (1.0, 0.25))
    np.testing.assert_allclose(whole, train(local_sgd(optax.sgd(0.3), 2, AXIS), 4), atol=1e-6)
    assert np.ptp(few[1], axis=0).max() < 1e-6
    assert not np.allclose(few[1], whole[1])


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="every=0 must be at least 1"):
        local_sgd(optax.sgd(0.1), 0)
    tx = diloco(optax.sgd(0.1))
    with pytest.raises(ValueError, match="needs params="):
        tx.update({}, tx.init({}))
