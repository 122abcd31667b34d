"""Rounds of train, prune, rewind: kept weights, initial weights, and counts by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import prune
from tests import helpers

PARAMS = {
    "body": {"kernel": helpers.array(0, (10, 10)), "bias": helpers.array(1, (10,))},
    "head": {"kernel": helpers.array(2, (10, 5))},
}


class Trainer:
    """Adds fixed numbers to the kept weights, and records its initial parameters."""

    def __init__(self):
        self.starts = []

    def __call__(self, params, compression):
        self.starts.append(params)
        moved = jax.tree.map(lambda x: x + helpers.array(x.size + len(self.starts), x.shape), params)
        return compression.view(moved, compression.init(moved))


def test_layers_lose_their_rate_and_the_output_half_of_it():
    trainer = Trainer()
    rounds = prune.lottery_ticket(trainer, PARAMS, rounds=3, rate=0.2, rates={"head/.*": 0.1})
    tickets = list(rounds)
    counts = [{path: int(m.sum()) for path, m in t.masks.items()} for t in tickets]
    assert [c["body/kernel"] for c in counts] == [100, 80, 64, 52]
    assert [c["head/kernel"] for c in counts] == [50, 45, 41, 37]
    assert tickets[3].sparsity == pytest.approx(1 - 89 / 150)
    for before, after in zip(tickets, tickets[1:]):
        for path, name in (("body/kernel", "body"), ("head/kernel", "head")):
            was, mask = np.asarray(before.masks[path]), np.asarray(after.masks[path])
            size = np.abs(before.trained[name]["kernel"])
            assert not (mask & ~was).any()
            assert size[mask].min() >= size[was & ~mask].max()
            assert not np.asarray(after.trained[name]["kernel"])[~mask].any()
    for start in trainer.starts:
        assert helpers.difference(start, PARAMS) == ""


def test_every_round_rewinds_to_the_same_early_weights():
    calls = []

    def early(params):
        calls.append(1)
        return jax.tree.map(lambda x: 2 * x, params)

    trainer = Trainer()
    tickets = list(prune.lottery_ticket(trainer, PARAMS, rounds=2, early=early))
    assert len(calls) == 1
    for start, ticket in zip(trainer.starts, tickets):
        assert helpers.difference(start, early(PARAMS)) == ""
        assert ticket.start is start


def test_a_global_ranking_and_given_sparsities():
    tickets = list(prune.lottery_ticket(Trainer(), PARAMS, sparsities=[0.4, 0.4, 0.92], scope="global"))
    assert [sum(int(m.sum()) for m in t.masks.values()) for t in tickets] == [150, 90, 90, 12]
    sizes = {p: np.abs(tickets[0].trained[p]["kernel"]) for p in ("body", "head")}
    kept = np.concatenate([sizes[p][np.asarray(tickets[1].masks[f"{p}/kernel"])] for p in sizes])
    gone = np.concatenate([sizes[p][~np.asarray(tickets[1].masks[f"{p}/kernel"])] for p in sizes])
    assert kept.min() >= gone.max()
    layers = list(prune.lottery_ticket(Trainer(), PARAMS, sparsities=[0.9], selector="head/.*"))
    assert {path: int(m.sum()) for path, m in layers[1].masks.items()} == {"head/kernel": 5}


def test_rounds_are_made_when_they_are_asked_for():
    trainer = Trainer()
    rounds = prune.lottery_ticket(trainer, PARAMS, rounds=100)
    next(rounds)
    next(rounds)
    assert len(trainer.starts) == 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "not both"),
        ({"rounds": 1, "sparsities": [0.5]}, "not both"),
        ({"rounds": 1, "rate": 1.0}, "rate=1.0"),
        ({"rounds": 1, "rates": {"a": 0.0}}, r"rates\['a'\]=0.0"),
        ({"rounds": 1, "rates": {"a": 0.1}, "scope": "global"}, "need scope='layer'"),
        ({"rounds": 1, "scope": "all"}, "scope='all'"),
        ({"sparsities": [0.5, 0.4]}, "must ascend"),
        ({"sparsities": [1.0]}, "sparsities=1.0"),
        ({"rounds": -1}, "rounds=-1 is negative; give 0"),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        prune.lottery_ticket(Trainer(), PARAMS, **settings)


def test_masks_and_compression_agree():
    def train(params, compression):
        assert jnp.shape(params["head"]["kernel"]) == (10, 5)
        return compression.view(params, compression.init(params))

    dense, sparse = prune.lottery_ticket(train, PARAMS, rounds=1, rate=0.5)
    assert helpers.difference(dense.trained, PARAMS) == ""
    np.testing.assert_array_equal(np.asarray(sparse.trained["head"]["kernel"]) != 0, sparse.masks["head/kernel"])


@pytest.mark.parametrize("scope", ["layer", "global"])
def test_whole_neurons_go_by_their_mean(scope):
    tickets = list(prune.lottery_ticket(Trainer(), PARAMS, rounds=3, rate=0.3, scope=scope, pattern="neuron"))
    counts = []
    for before, after in zip(tickets, tickets[1:]):
        means, kept = {}, set()
        for name in ("body", "head"):
            was, mask = (np.asarray(t.masks[f"{name}/kernel"]) for t in (before, after))
            assert (mask.any(0) == mask.all(0)).all()
            assert not (mask & ~was).any()
            sizes = np.abs(np.asarray(before.trained[name]["kernel"])).mean(0)
            means |= {(name, j): x for j, x in enumerate(sizes) if was[0, j]}
            kept |= {(name, j) for j in np.flatnonzero(mask[0])}
        counts.append(tuple(sum(name == unit[0] for unit in kept) for name in ("body", "head")))
        pools = [("body", "head")] if scope == "global" else [("body",), ("head",)]
        for pool in pools:
            mine = [unit for unit in means if unit[0] in pool]
            assert min(means[u] for u in mine if u in kept) >= max(means[u] for u in mine if u not in kept)
    # Of 10 and 5 units with 10 weights each: 7 and 3.5, and of all 15 as many as fit into 105 entries.
    assert counts[0] == (7, 4) if scope == "layer" else sum(counts[0]) == 10


def test_patterns_that_do_not_fit_are_told_before_any_training():
    for settings, message in (
        ({"pattern": "2:4"}, "lottery_ticket: pattern 2:4 fixes the number of kept"),
        ({"pattern": "layer"}, "pattern layer removes whole leaves"),
        ({"pattern": "balanced", "scope": "global"}, "balanced compares weights within groups"),
        ({"pattern": "block 4x4"}, "block 4x4: 'body/kernel': the sides do not divide"),
    ):
        with pytest.raises(ValueError, match=message):
            prune.lottery_ticket(Trainer(), PARAMS, rounds=1, **settings)
