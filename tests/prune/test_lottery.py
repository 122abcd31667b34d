"""Rounds of train, prune, rewind: what is kept, from where training starts, and counts by hand."""

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
    """Adds fixed numbers to what the masks leave, and remembers from where it started."""

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
        ({"sparsities": [0.5, 0.4]}, "must rise"),
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
