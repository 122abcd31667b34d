"""RigL in training: growth by dense gradients, grown weights from zero, biases and any optimizer."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from compressjax import core, prune
from tests import helpers
from tests.prune.training.test_exchange import brute

PARAMS = {
    "a": {"kernel": helpers.array(0, (8, 12)), "bias": helpers.array(1, (12,))},
    "b": {"kernel": helpers.array(2, (12, 4)), "bias": helpers.array(3, (4,))},
}
X, Y = helpers.array(4, (16, 8)), helpers.array(5, (16, 4))


def loss(params):
    hidden = jnp.tanh(X @ params["a"]["kernel"] + params["a"]["bias"][None])
    return jnp.mean(jnp.square(hidden @ params["b"]["kernel"] + params["b"]["bias"][None] - Y))


def history(method, optimizer, steps):
    """Parameters, gradients and states of a training run, per step."""
    tx = core.as_optax(method, optimizer)
    traces = []

    @jax.jit
    def step(params, state):
        traces.append(1)
        grads = jax.grad(lambda p: loss(method.view(p, state.compression)))(params)
        updates, state = tx.update(grads, state, params)
        return optax.apply_updates(params, updates), state, grads

    params, state = PARAMS, tx.init(PARAMS)
    rows = [(params, state, None)]
    for _ in range(steps):
        params, state, grads = step(params, state)
        rows.append((params, state, grads))
    assert len(traces) == 1
    return rows


@pytest.fixture(scope="module")
def rows():
    method = prune.rigl(0.6, jax.random.key(0), end=9, every=2, fraction=0.5, distribution="uniform")
    return history(method, optax.adamw(0.05, weight_decay=0.1), 12)


def test_masks_change_when_and_how_the_paper_says(rows):
    moved = []
    for (old, before, _), (_, after, grads) in zip(rows, rows[1:]):
        t = int(after.compression.count)
        for path, mask in after.compression.masks.items():
            was = before.compression.masks[path]
            assert int(mask.sum()) == int(was.sum()) == round(0.4 * mask.size)
            if t % 2 or t >= 9:
                np.testing.assert_array_equal(mask, was)
                continue
            share = 0.25 * (1 + np.cos(np.pi * t / 9))
            growth = np.abs(core.values(grads)[path])
            want = brute(core.values(old)[path], was, growth, share).reshape(mask.shape)
            np.testing.assert_array_equal(mask, want)
            moved.append(int((mask & ~was).sum()))
    assert len(moved) == 8
    assert sum(moved) > 40


def test_what_is_out_is_exactly_zero_and_grown_weights_start_there(rows):
    grown_ever = 0
    for (_, before, _), (params, after, grads) in zip(rows, rows[1:]):
        for path, mask in after.compression.masks.items():
            value = np.asarray(core.values(params)[path])
            out = ~np.asarray(mask)
            assert not value[out].any()
            first, second = (core.values(moments)[path] for moments in after.inner[0][1:])
            assert not np.asarray(first)[out].any()
            assert not np.asarray(second)[out].any()
            grown = np.asarray(mask & ~before.compression.masks[path])
            grown_ever += grown.sum()
            # One step of Adam from a weight and moments of zero.
            g, t = np.asarray(core.values(grads)[path])[grown], int(after.compression.count)
            mean, square = 0.1 * g / (1 - 0.9**t), 0.001 * g**2 / (1 - 0.999**t)
            np.testing.assert_allclose(value[grown], -0.05 * mean / (np.sqrt(square) + 1e-8), rtol=1e-3)
    assert grown_ever > 10


def test_grown_weights_learn(rows):
    first, last = rows[0][1].compression.masks["a/kernel"], rows[-1][1].compression.masks["a/kernel"]
    value = np.asarray(rows[-1][0]["a"]["kernel"])
    grown = np.asarray(last & ~first)
    assert grown.any()
    assert (value[grown] != 0).all()
    assert loss(rows[-1][0]) < loss(rows[1][0])


@pytest.mark.thorough
def test_the_view_passes_the_dense_gradient(key):
    method = prune.rigl(0.75, key, end=10)
    state = method.init(PARAMS)
    weight = helpers.array(6, (8, 12))
    grads = jax.grad(lambda p: jnp.sum(weight * method.view(p, state)["a"]["kernel"]))(PARAMS)
    np.testing.assert_array_equal(grads["a"]["kernel"], weight)
    received, _ = method.before_step(grads, PARAMS, state)
    np.testing.assert_array_equal(received["a"]["kernel"], np.where(state.masks["a/kernel"], weight, 0))


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"end": -1}, "end=-1"), ({"end": 1, "every": 0}, "every=0"), ({"end": 1, "fraction": 1.0}, "fraction=1.0")],
)
def test_bad_settings(key, settings, message):
    for method in (prune.rigl, prune.set_):
        with pytest.raises(ValueError, match=message):
            method(0.5, key, **settings)
