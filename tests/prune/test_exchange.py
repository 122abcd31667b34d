"""Exchange of connections against a sort in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from compressjax import core, prune
from compressjax.prune._exchange import drop_fraction, due, exchange, exchanged
from tests import helpers


def brute(weight, mask, growth, fraction):
    weight, mask, growth = (np.asarray(x).ravel() for x in (weight, mask, growth))
    moved = min(int(fraction * mask.sum() + 1e-4), mask.size - mask.sum())
    inside, outside = np.flatnonzero(mask), np.flatnonzero(~mask)
    out = mask.copy()
    out[inside[np.argsort(np.abs(weight[inside]), kind="stable")[:moved]]] = False
    out[outside[np.argsort(-growth[outside], kind="stable")[:moved]]] = True
    return out


@pytest.mark.parametrize("fraction", [0.0, 0.05, 0.3, 0.99])
@pytest.mark.parametrize("density", [0.1, 0.5, 0.9])
def test_equals_a_sort(fraction, density):
    weight, growth = helpers.array(0, (12, 10)), jnp.abs(helpers.array(1, (12, 10)))
    mask = jnp.asarray(np.random.default_rng(2).permutation(120).reshape(12, 10) < 120 * density)
    got = jax.jit(exchange)(weight, mask, growth, fraction)
    np.testing.assert_array_equal(np.asarray(got).ravel(), brute(weight, mask, growth, fraction))
    assert int(got.sum()) == int(mask.sum())


def test_what_was_dropped_does_not_grow_back():
    mask = jnp.array([True, True, False, False])
    growth = jnp.array([100.0, 100.0, 0.0, 0.0])
    assert exchange(jnp.array([1.0, 2.0, 0, 0]), mask, growth, 0.5).tolist() == [False, True, True, False]


def test_bad_numbers_keep_the_count():
    mask = jnp.array([True, True, False, False])
    for weight, growth in (([jnp.nan, 1, 0, 0], [0, 0, jnp.nan, 1]), ([1, 2, 0, 0], [0, 0, jnp.nan, jnp.inf])):
        got = exchange(jnp.array(weight), mask, jnp.array(growth), 0.5)
        assert got.tolist() == [False, True, False, True]


def test_half_a_cosine():
    got = drop_fraction(jnp.array([0, 25, 50, 75, 99, 100, 200]), 0.3, 100)
    want = [0.15 * (1 + np.cos(np.pi * t / 100)) for t in (0, 25, 50, 75, 99)] + [0, 0]
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-8)


def test_due_every_so_many_steps_before_the_end_but_never_first():
    assert [step for step in range(1, 13) if due(jnp.int32(step), 3, 12)] == [3, 6, 9]
    assert [step for step in range(1, 5) if due(jnp.int32(step), 1, 4)] == [2, 3]
    assert not any(due(jnp.int32(step), 1, 0) for step in range(4))


def test_masks_move_only_when_due():
    flat = {"a": jnp.array([3.0, 1.0, 0.0, 0.0]), "b": jnp.array([1.0, 2.0, 0.0])}
    masks = {"a": jnp.array([True, True, False, False]), "b": jnp.array([True, True, False])}
    scores = {"a": jnp.array([0.0, 0.0, 1.0, 2.0]), "b": jnp.zeros(3)}
    run = jax.jit(lambda when: exchanged(flat, masks, scores.__getitem__, lambda: jnp.float32(0.5), when))
    assert {path: mask.tolist() for path, mask in run(False).items()} == {p: m.tolist() for p, m in masks.items()}
    assert run(True)["a"].tolist() == [True, False, False, True]
    assert run(True)["b"].tolist() == [False, True, True]


def test_an_exchange_and_a_step_under_the_new_masks(key):
    """RigL with momentum, against the same training written down in NumPy."""
    method = prune.rigl(0.6, key, end=10, every=3, distribution="uniform")
    now, slope = {"kernel": helpers.array(0, (6, 5))}, helpers.array(1, (6, 5))
    tx = core.as_optax(method, optax.sgd(0.1, momentum=0.9))
    state, step = tx.init(now), jax.jit(tx.update)
    weight, mask, momentum = np.asarray(now["kernel"]), np.asarray(state.compression.masks["kernel"]), np.zeros((6, 5))
    exchanges = []
    for t in range(1, 13):
        grads = {"kernel": jnp.cos(now["kernel"] * t) * slope}
        updates, state = step(grads, state, now)
        if t in (3, 6, 9):
            share = 0.15 * (1 + np.cos(np.pi * t / 10))
            new = brute(weight, mask, np.abs(grads["kernel"]), share).reshape(mask.shape)
            exchanges.append(int((new & ~mask).sum()))
            mask = new
        momentum = np.where(mask, 0.9 * momentum + np.asarray(grads["kernel"]), 0)
        weight = np.where(mask, weight - 0.1 * momentum, 0)
        now = optax.apply_updates(now, updates)
        np.testing.assert_array_equal(state.compression.masks["kernel"], mask)
        np.testing.assert_allclose(now["kernel"], weight, rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(np.asarray(now["kernel"])[~mask], 0)
    assert exchanges == [2, 1, 0]
