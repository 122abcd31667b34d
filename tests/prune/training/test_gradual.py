"""Gradual pruning: counts, nesting, frozen weights, and combinations with other methods."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from compressjax import core, prune
from compressjax.tensors import LowRank, Masked


@pytest.fixture
def params(key):
    a, b, c = jax.random.split(key, 3)
    return {
        "a": {"kernel": jax.random.normal(a, (20, 30)), "bias": jax.random.normal(c, (30,))},
        "b": {"kernel": 0.1 * jax.random.normal(b, (30, 10))},
    }


def bits(x):
    return np.asarray(x).tobytes()


def equal(a, b):
    flat_a, flat_b = core.values(core.materialize(a)), core.values(core.materialize(b))
    return {p: bits(x) for p, x in flat_a.items()} == {p: bits(x) for p, x in flat_b.items()}


def walk(compression, params, steps, grow=lambda p, i: p):
    state = compression.init(params)
    masks = [state.masks]
    step = jax.jit(compression.after_step)
    for i in range(steps):
        params = grow(params, i)
        _, state = step(params, state)
        masks.append(state.masks)
    return params, state, masks


def test_masks_are_the_largest_magnitudes(params):
    _, state, _ = walk(prune.gradual(0.75, end=4, every=2), params, 4)
    for path, x in {"a/kernel": params["a"]["kernel"], "b/kernel": params["b"]["kernel"]}.items():
        order = np.sort(np.abs(np.asarray(x)).ravel())
        threshold = order[round(0.75 * order.size)]
        np.testing.assert_array_equal(state.masks[path], np.abs(x) >= threshold)


def test_counts_follow_the_schedule_at_the_steps_it_names(params):
    _, _, masks = walk(prune.gradual(0.9, begin=2, end=9, every=3, initial=0.3), params, 12)
    kept = [int(m["a/kernel"].sum()) for m in masks]
    events = {2: 2, 5: 5, 8: 8, 9: 9}
    want, now = [], 600
    for step in range(13):
        if step in events:
            left = (1 - (step - 2) / 7) ** 3
            now = round(600 * (0.1 + 0.6 * left))
        want.append(now)
    np.testing.assert_allclose(kept, want, atol=1)
    assert kept[1] == 600
    assert kept[-1] == 60


def test_masks_are_nested_whatever_the_weights_do(params, key):
    def shuffle(p, i):
        return jax.tree.map(lambda x: jax.random.normal(jax.random.fold_in(key, i), x.shape), p)

    for distribution in ("uniform", "global", "erk"):
        compression = prune.gradual(0.9, end=8, every=2, distribution=distribution)
        _, _, masks = walk(compression, params, 10, shuffle)
        for before, after in itertools.pairwise(masks):
            assert all(not np.any(after[p] & ~before[p]) for p in before)


def test_global_is_one_ranking(params):
    _, state, _ = walk(prune.gradual(0.8, end=1, distribution="global"), params, 1)
    scores = np.concatenate([np.abs(params["a"]["kernel"]).ravel(), np.abs(params["b"]["kernel"]).ravel()])
    threshold = np.sort(scores)[round(0.8 * scores.size)]
    np.testing.assert_array_equal(state.masks["b/kernel"], np.abs(params["b"]["kernel"]) >= threshold)
    assert sum(int(m.sum()) for m in state.masks.values()) == 180
    # b's weights are ten times smaller, and survive once every leaf is measured by its own size.
    assert int(state.masks["b/kernel"].sum()) < 5
    _, scaled, _ = walk(prune.gradual(0.8, end=1, distribution="global", normalize=True), params, 1)
    assert int(scaled.masks["b/kernel"].sum()) > 30
    assert sum(int(m.sum()) for m in scaled.masks.values()) == 180


def test_erk_and_patterns_give_their_counts(params):
    shapes = {"a/kernel": (20, 30), "b/kernel": (30, 10)}
    _, state, _ = walk(prune.gradual(0.8, end=3, every=1, distribution="erk"), params, 3)
    want = prune.distributions.densities(shapes, 0.8, "erk")
    for path, mask in state.masks.items():
        assert abs(int(mask.sum()) - want[path] * math.prod(shapes[path])) < 1
    _, state, _ = walk(prune.gradual(0.5, end=3, distribution={"a/.*": 0.9}), params, 3)
    assert {p: int(m.sum()) for p, m in state.masks.items()} == {"a/kernel": 60, "b/kernel": 150}


@pytest.mark.turns(3)
@pytest.mark.parametrize(
    "optimizer",
    [
        optax.adamw(1e-2, weight_decay=0.1),
        optax.sgd(1e-2, momentum=0.9, nesterov=True),
        optax.chain(optax.add_decayed_weights(0.1), optax.trace(0.9), optax.scale(-0.01)),
    ],
)
def test_masked_weights_never_move(params, key, optimizer):
    compression = prune.gradual(0.7, end=12, every=4)
    tx = core.as_optax(compression, optimizer)
    state = tx.init(params)
    traces = []

    @jax.jit
    def step(params, state, x):
        traces.append(1)

        def loss(p):
            seen = compression.view(p, state.compression)
            return jnp.mean(jnp.square(jnp.tanh(x @ seen["a"]["kernel"]) @ seen["b"]["kernel"] - 1.0))

        updates, state = tx.update(jax.grad(loss)(params), state, params)
        return optax.apply_updates(params, updates), state

    frozen = []
    for i in range(20):
        before_step = state.compression.masks
        params, state = step(params, state, jax.random.normal(jax.random.fold_in(key, i), (8, 20)))
        masks = state.compression.masks
        flat = core.values(params)
        frozen.append({p: (np.asarray(m), np.asarray(flat[p])) for p, m in masks.items()})
        # Nested masks: what one step leaves alone, all steps do.
        for before in frozen[-2:]:
            for path, (mask, value) in before.items():
                assert bits(value[~mask]) == bits(np.asarray(flat[path])[~mask])
        # What a mask has just taken out is cleared before the moments are used again.
        for leaf in jax.tree.leaves(state.inner):
            for path, mask in before_step.items():
                if leaf.shape == mask.shape:
                    assert not np.any(np.asarray(leaf)[~np.asarray(mask)]), path
    assert int(masks["a/kernel"].sum()) == 180
    assert len(traces) == 1


def test_gradients_only_at_kept_entries(params):
    compression = prune.gradual(0.5, end=0)
    state = compression.init(params)
    grads = jax.grad(lambda p: jnp.sum(compression.view(p, state)["a"]["kernel"] * 3.0))(params)
    np.testing.assert_array_equal(grads["a"]["kernel"], 3.0 * state.masks["a/kernel"])


@pytest.mark.parametrize("distribution", ["uniform", "global", "erk", {"a/.*": 0.9}])
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
@pytest.mark.thorough  # law 2 judges two of these in every run
@pytest.mark.strict
def test_what_is_trained_is_stored(params, distribution, dtype):
    params = jax.tree.map(lambda x: x.astype(dtype), params)
    compression = prune.gradual(0.8, end=4, every=2, distribution=distribution)
    params, state, _ = walk(compression, params, 4)
    encoded = compression.encode(params, state)
    assert isinstance(encoded["a"]["kernel"], Masked)
    assert encoded["a"]["kernel"].dtype == dtype
    assert equal(jax.jit(compression.view)(params, state), encoded)
    assert not isinstance(encoded["a"]["bias"], Masked)
    # A projection: what was stored, stored again with the same state, is the same.
    assert equal(compression.encode(core.materialize(encoded), state), encoded)


def test_sparsity_zero_changes_nothing(params):
    compression = prune.gradual(0.0, end=3, every=1)
    params, state, _ = walk(compression, params, 3)
    assert equal(compression.encode(params, state), params)


def test_values_inside_nodes(key):
    tree = {"kernel": LowRank(jax.random.normal(key, (8, 3)), jax.random.normal(key, (3, 6)))}
    state = prune.magnitude(0.5).init(tree)
    encoded = prune.magnitude(0.5).encode(tree, state)
    assert {p: int(m.sum()) for p, m in state.masks.items()} == {"kernel/left": 12, "kernel/right": 9}
    assert isinstance(encoded["kernel"].left, Masked)


def test_init_works_on_abstract_values(params):
    for distribution in ("uniform", "global", "erk"):
        compression = prune.gradual(0.9, end=5, initial=0.5, distribution=distribution)
        abstract = jax.eval_shape(compression.init, params)
        concrete = jax.jit(compression.init)(params)
        assert jax.tree.map(jnp.shape, abstract) == jax.tree.map(jnp.shape, concrete)
        assert sum(int(m.sum()) for m in concrete.masks.values()) == 450


def test_size_is_mask_and_kept_values(params):
    compression = prune.magnitude(0.9)
    encoded = compression.encode(params, compression.init(params))
    assert core.storage(encoded)["a/kernel"] == 600 + 60 * 32


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sparsity": 1.0, "end": 1}, "sparsity=1.0"),
        ({"sparsity": 0.5, "end": 1, "begin": 2}, "before it begins at 2"),
        ({"sparsity": 0.5, "end": 1, "initial": 0.6}, "initial=0.6 exceeds"),
        ({"sparsity": 0.5, "end": 1, "initial": 0.2, "distribution": {"a": 0.1}}, "initial=0.2 exceeds"),
        ({"sparsity": 0.5, "end": 1, "distribution": "layer"}, "unknown distribution 'layer'"),
        ({"sparsity": 0.5, "end": 1, "every": 0}, "every=0"),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        prune.gradual(**settings)


def test_a_pattern_that_selects_nothing(params):
    with pytest.raises(ValueError, match="pattern 'z' matches none"):
        prune.gradual(0.5, end=1, distribution={"z": 0.1}).init(params)
