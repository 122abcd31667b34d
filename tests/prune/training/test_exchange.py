"""Exchange of connections against a sort in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from compressjax import core, prune
from compressjax.prune.training._exchange import drop_fraction, due, exchange, exchanged
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


@pytest.mark.turns(3)
@pytest.mark.parametrize("pattern", ["balanced", "neuron", "block 3x2"])
def test_units_move_whole_and_in_every_group_equally_many(pattern, draw):
    """Against `brute` on the means of units, group by group."""
    chosen = prune.patterns.as_pattern(pattern)
    sizes, roles = chosen.read("w", (12, 10))
    order = [i for role in "guw" for i, mine in enumerate(roles) if mine == role]
    groups, weights = (int(np.prod([n for n, r in zip(sizes, roles) if r == role])) for role in "gw")

    def units(x):
        return np.asarray(x).reshape(sizes).transpose(order).reshape(groups, -1, weights)

    weight, growth = (draw.normal(size=(12, 10)) for _ in range(2))
    mask = prune.patterns.pattern_mask(jnp.asarray(draw.normal(size=(12, 10))), 0.5, pattern)
    got = exchange(jnp.asarray(weight), mask, jnp.abs(growth), 0.5, chosen)
    kept = units(got)
    np.testing.assert_array_equal(kept.any(2), kept.all(2))
    parts = zip(kept, units(np.abs(weight)).mean(2), units(mask), units(np.abs(growth)).mean(2))
    for now, size, before, score in parts:
        np.testing.assert_array_equal(now.all(1), brute(size, before.all(1), score, 0.5))
        assert not (now.all(1) == before.all(1)).all()


@pytest.mark.turns(2)
@pytest.mark.parametrize("method", [prune.rigl, prune.set_])
def test_the_fan_in_stays_constant(method, key):
    """As Lasby et al. (arXiv:2305.02299) have it: every output keeps equally many inputs through all exchanges."""
    tx = core.as_optax(
        method(0.5, key, end=9, every=2, fraction=0.9, distribution="uniform", pattern="balanced"), optax.adam(0.1)
    )
    now = {"kernel": helpers.array(0, (12, 6)), "out": {"kernel": helpers.array(1, (6, 4))}}
    state, step, seen = tx.init(now), jax.jit(tx.update), set()
    for t in range(1, 10):
        updates, state = step(jax.tree.map(lambda x, t=t: jnp.sin(7 * x + t), now), state, now)
        now = optax.apply_updates(now, updates)
        masks = {path: np.asarray(mask) for path, mask in state.compression.masks.items()}
        assert all(len(set(mask.sum(0).tolist())) == 1 for mask in masks.values())
        assert not np.asarray(now["kernel"])[~masks["kernel"]].any()
        seen.add(masks["kernel"].tobytes())
    assert len(seen) == 4  # of 6 inputs, 4, 3, 1 and 0 are exchanged


@pytest.mark.parametrize("method", [prune.rigl, prune.set_])
def test_patterns_that_leave_nothing_to_exchange(method, key):
    with pytest.raises(ValueError, match=r"(rigl|set_): pattern 2:4 fixes the number of kept weights; use gradual"):
        method(0.5, key, end=9, pattern="2:4")
    with pytest.raises(ValueError, match="pattern layer removes whole leaves"):
        method(0.5, key, end=9, pattern="layer")
    params = {"kernel": jnp.ones((5, 4))}
    with pytest.raises(ValueError, match=r"block 2x2: 'kernel': the sides do not divide .* \(5, 4\)"):
        method(0.5, key, end=9, pattern="block 2x2").init(params)
