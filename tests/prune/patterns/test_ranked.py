"""Patterns in training: whole units by their mean, on schedule, against sorts in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from compressjax import core, prune, saliency
from compressjax.prune.distributions._densities import ALL
from compressjax.prune.patterns._ranked import ranked
from tests import helpers

PARAMS = {"a": {"kernel": helpers.array(0, (12, 8))}, "b": {"kernel": helpers.array(1, (8, 16))}}


def states(method, steps):
    """States after every update of weights that wander."""
    step = jax.jit(lambda state, seen: method.after_step(seen, method.before_step(seen, seen, state)[1])[1])
    state, seen, rows = method.init(PARAMS), PARAMS, []
    for t in range(1, steps + 1):
        seen = jax.tree.map(lambda x, t=t: x + 0.3 * jnp.sin(5 * x + t), seen)
        state = step(state, seen)
        rows.append((seen, state))
    return rows


def test_neurons_go_bit_by_bit_and_the_smallest_first():
    before, counts = np.ones((12, 8), bool), []
    for seen, state in states(prune.gradual(0.75, end=4, every=1, pattern="neuron"), 4):
        mask = np.asarray(state.masks["a/kernel"])
        kept = mask.all(0)
        assert (mask.any(0) == kept).all()
        assert not (mask & ~before).any()
        means = np.abs(np.asarray(seen["a"]["kernel"])).mean(0)
        alive = np.flatnonzero(before.all(0))
        assert set(np.flatnonzero(kept)) == set(alive[np.argsort(-means[alive])[: kept.sum()]])
        before = mask
        counts.append(int(kept.sum()))
    assert counts == [round(8 * (1 - 0.75 * (1 - (1 - t / 4) ** 3))) for t in (1, 2, 3, 4)] == [5, 3, 2, 2]


def test_n_of_m_goes_from_all_to_n():
    seen = []
    for _, state in states(prune.gradual(prune.schedules.linear(0.5, end=2), every=1, pattern="2:4"), 3):
        groups = np.asarray(state.masks["b/kernel"]).reshape(2, 4, 16).sum(1)
        assert (groups == groups[0, 0]).all()
        seen.append(int(groups[0, 0]))
    assert seen == [3, 2, 2]


def test_channels_of_all_leaves_compete():
    (seen, state), *_ = states(prune.gradual(0.5, end=1, every=1, distribution="global", pattern="channel"), 1)
    means = {(n, i): np.abs(row).mean() for n in "ab" for i, row in enumerate(np.asarray(seen[n]["kernel"]))}
    budget, kept = (12 * 8 + 8 * 16) / 2, set()
    for unit in sorted(means, key=means.get, reverse=True):
        budget -= 8 if unit[0] == "a" else 16
        if budget < 0:
            break
        kept.add(unit)
    got = {(n, i) for n in "ab" for i, row in enumerate(np.asarray(state.masks[f"{n}/kernel"])) if row.all()}
    assert got == kept


def test_blocks_follow_their_scores():
    method = prune.movement(0.5, end=1, pattern="block 4x4", optimizer=optax.sgd(1.0))
    slopes = jax.tree.map(lambda x: jnp.cos(3 * x), PARAMS)
    _, state = method.before_step(slopes, PARAMS, method.init(PARAMS))
    mask = np.asarray(method.after_step(PARAMS, state)[1].masks["a/kernel"]).reshape(3, 4, 2, 4)
    assert (mask.any((1, 3)) == mask.all((1, 3))).all()
    scores = -np.asarray(slopes["a"]["kernel"] * PARAMS["a"]["kernel"]).reshape(3, 4, 2, 4).mean((1, 3))
    assert mask.all((1, 3)).sum() == 3
    assert scores[mask.all((1, 3))].min() > scores[~mask.any((1, 3))].max()


def test_phases_and_exploration_keep_whole_units():
    (_, first), (_, second), *_ = states(prune.acdc(0.5, begin=1, every=1, end=4, pattern="neuron"), 2)
    assert 0 < np.asarray(first.masks["b/kernel"]).all(0).sum() < 16
    assert np.asarray(second.masks["b/kernel"]).all()
    ((_, state),) = states(prune.topkast(0.75, 0.5, every=1, pattern="neuron"), 1)
    used, learns = (np.asarray(masks["b/kernel"]) for masks in (state.forward, state.backward))
    assert (used.all(0).sum(), learns.all(0).sum()) == (4, 8)
    assert (used.any(0) == used.all(0)).all()
    assert not (used & ~learns).any()


def test_training_leaves_whole_units_at_zero():
    method = prune.gradual(0.5, end=2, every=1, pattern="neuron")
    tx, params = core.as_optax(method, optax.adam(0.05)), PARAMS
    state, step = tx.init(params), jax.jit(tx.update)
    for _ in range(4):
        updates, state = step(jax.tree.map(jnp.sin, params), state, params)
        params = optax.apply_updates(params, updates)
    stored = np.asarray(core.materialize(method.encode(params, state.compression))["b"]["kernel"])
    assert (stored == 0).all(0).sum() == 8


@pytest.mark.thorough
@pytest.mark.parametrize("shape", [(3, 3), *(pytest.param(s, marks=pytest.mark.thorough) for s in ((2, 2), (4, 6)))])
@pytest.mark.parametrize("pattern", ["neuron", "balanced", "channel"])
def test_units_are_rounded_once(pattern, shape):
    """Rounds to the nearest number of units, on a schedule as at once: 30 % of 2 neurons is 1, not 0."""
    params = {"kernel": helpers.array(3, shape)}
    units = {"neuron": shape[1], "channel": shape[0], "balanced": shape[0]}[pattern]
    for sparsity in (0.1, 0.3, 0.5, 0.7, 0.9):
        once = prune.magnitude(sparsity, pattern=pattern).init(params).masks["kernel"]
        masks = [
            prune.gradual(sparsity, end=0, pattern=pattern).init(params).masks["kernel"],
            prune.one_shot(saliency.magnitude(), sparsity, pattern=pattern).init(params).masks["kernel"],
            prune.topkast(sparsity, sparsity, pattern=pattern).init(params).forward["kernel"],
            prune.acdc(sparsity, begin=0, every=1, end=3, distribution="uniform", pattern=pattern)
            .init(params).masks["kernel"],
        ]  # fmt: skip
        assert all(np.array_equal(mask, once) for mask in masks)
        kept = np.asarray(once).sum() / once.size * units
        least = 0 if pattern == "balanced" else 1
        assert abs(kept - units * (1 - sparsity)) <= 0.5 + 1e-6 or kept == least


def test_a_global_ranking_of_units_ends_before_the_first_that_does_not_fit():
    """The ranking never skips a unit for a later one, and always keeps the best unit."""
    sizes = {"a": 1, "b": 10, "c": 1}
    scores = {name: jnp.full((1, n), 9.0 - i) for i, (name, n) in enumerate(sizes.items())}
    kept = {
        n: {path for path, mask in ranked(scores, {ALL: n}, prune.patterns.layer()).items() if mask.any()}
        for n in range(13)
    }
    assert [len(kept[n]) for n in range(13)] == [1] * 11 + [2, 3]
    big = {"a": jnp.full((1, 10), 9.0), "b": jnp.ones((1, 1))}
    assert [bool(mask.any()) for mask in ranked(big, {ALL: 3}, prune.patterns.layer()).values()] == [True, False]


def test_n_of_m_needs_no_number():
    """As for `ste`, `one_shot` and `magnitude`; rounded input such as 0.667 for 2/3 is accepted."""
    params = {"kernel": helpers.array(3, (12, 4))}
    for method in (
        prune.gradual(None, end=0, pattern="1:3"),
        prune.gradual(0.667, end=0, pattern="1:3"),
        prune.movement(None, end=0, pattern="1:3"),
        prune.acdc(None, begin=0, every=1, end=0, distribution="uniform", pattern="1:3"),
        prune.magnitude(0.6667, pattern="1:3"),
    ):
        mask = np.asarray(method.init(params).masks["kernel"])
        assert (mask.reshape(4, 3, 4).sum(1) == 1).all()
    assert int(prune.topkast(None, 0.3, pattern="1:3").init(params).forward["kernel"].sum()) == 16
    for make in (prune.gradual, prune.movement, lambda s, end: prune.acdc(s, begin=0, every=1, end=end)):
        with pytest.raises(ValueError, match="sparsity is missing; give the fraction of zeros"):
            make(None, end=3)


@pytest.mark.parametrize("make", [prune.gradual, prune.movement])
def test_patterns_that_do_not_fit_are_refused(make):
    with pytest.raises(ValueError, match="pattern 2:4 leaves 0.5 of every leaf zero, but sparsity=0.9"):
        make(0.9, end=3, pattern="2:4")
    with pytest.raises(ValueError, match="distribution='erk'"):
        make(0.5, end=3, pattern="2:4", distribution="erk")
    with pytest.raises(ValueError, match='distribution="global"'):
        make(0.5, end=3, pattern="layer")
    with pytest.raises(ValueError, match="unknown pattern"):
        make(0.5, end=3, pattern="stripes")


def test_a_leaf_that_a_pattern_does_not_fit_is_named_at_the_start():
    with pytest.raises(ValueError, match=r"'a/kernel': axis 0 of \(6, 4\) is not divisible by 4"):
        prune.gradual(0.5, end=3, pattern="2:4").init({"a": {"kernel": jnp.ones((6, 4))}})
