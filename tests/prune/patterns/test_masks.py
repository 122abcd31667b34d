"""Masks under budgets: exact counts by pattern, rankings across leaves."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import prune
from compressjax.prune.patterns._masks import scores_of
from tests import helpers


@pytest.fixture
def scores():
    return {"a": jnp.abs(helpers.array(0, (16, 12))), "b": jnp.abs(helpers.array(1, (3, 3, 4, 8)))}


@pytest.mark.turns(2)
@pytest.mark.parametrize(("n", "m"), [(1, 2), (2, 4), (1, 4), (4, 4)])
def test_exactly_n_of_every_m_and_the_largest(scores, n, m):
    for x in scores.values():
        mask = np.asarray(prune.patterns.pattern_mask(x, pattern=f"{n}:{m}"))
        groups = np.moveaxis(np.asarray(x), -2, -1).reshape(-1, m)
        kept = np.moveaxis(mask, -2, -1).reshape(-1, m)
        assert (kept.sum(1) == n).all()
        for group, keep in zip(groups, kept):
            assert set(np.argsort(-group)[:n]) == set(np.flatnonzero(keep))


def test_inputs_of_attention_kernels_lie_on_their_first_axis():
    x = jnp.abs(helpers.array(0, (8, 3, 5)))
    mask = np.asarray(prune.patterns.pattern_mask(x, pattern=prune.patterns.nm(2, 4, axis=0)))
    assert (mask.reshape(2, 4, 15).sum(1) == 2).all()
    kept = np.sort(np.where(mask, x, 0).reshape(2, 4, 15), axis=1)
    np.testing.assert_array_equal(kept[:, 2:], np.sort(np.asarray(x).reshape(2, 4, 15), axis=1)[:, 2:])


@pytest.mark.parametrize(("pattern", "axis"), [("neuron", 1), ("channel", 0), ("filter", 1)])
def test_whole_slices_of_largest_mean(scores, pattern, axis):
    x = np.asarray(scores["a"])
    mask = np.asarray(prune.patterns.pattern_mask(scores["a"], 0.25, pattern))
    means = x.mean(1 - axis)
    keep = np.argsort(-means)[: round(0.25 * len(means))]
    want = np.isin(np.arange(len(means)), keep)
    np.testing.assert_array_equal(mask, np.broadcast_to(want[None] if axis else want[:, None], x.shape))


def test_blocks(scores):
    mask = np.asarray(prune.patterns.pattern_mask(scores["a"], 0.5, "block 4x4"))
    x = np.asarray(scores["a"])
    means = {(i, j): x[i : i + 4, j : j + 4].mean() for i, j in itertools.product(range(0, 16, 4), range(0, 12, 4))}
    keep = sorted(means, key=means.get)[-6:]
    for i, j in means:
        assert (mask[i : i + 4, j : j + 4] == ((i, j) in keep)).all()


@pytest.mark.thorough
def test_balanced_keeps_equally_many_for_every_output(scores):
    for x in scores.values():
        mask = np.asarray(prune.patterns.pattern_mask(x, 0.25, "balanced")).reshape(-1, x.shape[-1])
        assert (mask.sum(0) == round(0.25 * mask.shape[0])).all()


def test_a_group_keeps_at_least_one_unit(scores):
    assert int(prune.patterns.pattern_mask(scores["a"], 0.01, "neuron").sum()) == 16
    assert int(prune.patterns.pattern_mask(scores["a"], 0.0, "unstructured").sum()) == 0


def test_global_is_one_ranking(scores):
    masks = prune.patterns.masks_of(scores, 0.9, "global")
    every = np.concatenate([np.asarray(x).ravel() for x in scores.values()])
    keep = np.concatenate([np.asarray(m).ravel() for m in masks.values()])
    count = every.size - round(0.9 * every.size)
    np.testing.assert_array_equal(np.flatnonzero(keep), np.sort(np.argsort(-every)[:count]))


@pytest.mark.turns(3)
@pytest.mark.parametrize("sparsity", [0.3, 0.7, 0.99])
def test_global_units_fit_the_budget_and_are_the_best(scores, sparsity):
    masks = prune.patterns.masks_of(scores, sparsity, "global", "neuron")
    units = []
    for path, x in scores.items():
        rows = np.asarray(x).reshape(-1, x.shape[-1])
        kept = masks[path].reshape(rows.shape)[0]
        units += [(rows[:, j].mean(), rows.shape[0], bool(kept[j])) for j in range(rows.shape[1])]
    units.sort(reverse=True)
    total = sum(size for _, size, _ in units)
    budget, used, want = total - round(sparsity * total), 0, []
    for i, (_, size, _) in enumerate(units):
        used += size
        want.append(i == 0 or used <= budget)
    assert [keep for *_, keep in units] == want
    for mask in masks.values():
        flat = np.asarray(mask).reshape(-1, mask.shape[-1])
        assert (flat.all(0) | ~flat.any(0)).all()


@pytest.mark.parametrize("distribution", ["uniform", "erk", {".*": 0.5}])
def test_layers_that_cannot_compete_are_refused(scores, distribution):
    with pytest.raises(ValueError, match='pattern layer removes whole leaves.*distribution="global"'):
        prune.patterns.masks_of(scores, 0.5, distribution, "layer")


def test_layers_compete_globally():
    scores = {"a": jnp.ones((4, 4)), "b": jnp.full((4, 4), 2.0), "c": jnp.full((2, 2), 3.0)}
    masks = prune.patterns.masks_of(scores, 16 / 36, "global", "layer")
    assert {path: bool(m.all()) for path, m in masks.items()} == {"a": False, "b": True, "c": True}
    assert not masks["a"].any()


@pytest.mark.parametrize("distribution", ["uniform", "erk", {"a": 0.5}])
def test_distributions(scores, distribution):
    masks = prune.patterns.masks_of(scores, 0.75, distribution)
    shares = prune.distributions.densities({p: x.shape for p, x in scores.items()}, 0.75, distribution)
    for path, mask in masks.items():
        assert abs(int(mask.sum()) - shares[path] * mask.size) <= 1


@pytest.mark.thorough
def test_runs_under_jit(scores):
    for pattern in ("unstructured", "balanced", "2:4", "neuron"):
        masks = jax.jit(lambda s, pattern=pattern: prune.patterns.masks_of(s, 0.5, pattern=pattern))(scores)
        for path, mask in prune.patterns.masks_of(scores, 0.5, pattern=pattern).items():
            np.testing.assert_array_equal(masks[path], mask)


def test_what_does_not_fit_together(scores):
    with pytest.raises(ValueError, match="2:4 leaves 0.5 of every leaf zero, but sparsity=0.9"):
        prune.patterns.masks_of(scores, 0.9, pattern="2:4")
    with pytest.raises(ValueError, match="leaves 0.5 of every leaf zero"):
        prune.patterns.masks_of(scores, 0.5, "global", "2:4")
    with pytest.raises(ValueError, match="within groups of"):
        prune.patterns.masks_of(scores, 0.5, "global", "balanced")
    with pytest.raises(ValueError, match="sparsity is missing"):
        prune.patterns.masks_of(scores, None)
    with pytest.raises(ValueError, match="density=None of the leaf: pattern neuron needs one"):
        prune.patterns.pattern_mask(scores["a"], pattern="neuron")
    with pytest.raises(ValueError, match="itself keeps 0.5"):
        prune.patterns.pattern_mask(scores["a"], 0.25, "2:4")
    with pytest.raises(ValueError, match="outside"):
        prune.patterns.pattern_mask(scores["a"], 1.5)
    with pytest.raises(ValueError, match="mine: 'b': the saliency has no scores of it"):
        scores_of({"a": 1}, ("a", "b"), "mine")


def test_nan_has_no_rank_and_nothing_is_no_pruning(scores):
    with pytest.raises(ValueError, match=r"scores of \['a'\] are NaN"):
        prune.patterns.masks_of(scores | {"a": scores["a"].at[0, 0].set(jnp.nan)}, 0.5)
    with pytest.raises(ValueError, match="sparsity=0.0001 removes none of"):
        prune.patterns.masks_of(scores, 0.0001)
    assert all(mask.all() for mask in prune.patterns.masks_of(scores, 0.0001, final=False).values())
