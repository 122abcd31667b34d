"""Allocation against exhaustive search on a small network."""

import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import interpret, structure
from compressjax.structure._allocate import allocate, best, explicit, rounded
from compressjax.structure._budget import Model

P = {"a": jnp.ones((2, 6)), "b": jnp.ones((6, 8)), "c": jnp.ones((8, 1))}
X = jnp.ones((1, 2))


def chain(p, x):
    return x @ p["a"] @ p["b"] @ p["c"]


GROUPS = interpret.couplings(chain)(P, X)
MODEL = Model(chain, P, (X,), GROUPS)
DRAW = np.random.default_rng(0)
SCORES = {"a:1": DRAW.uniform(1, 2, 6), "b:1": DRAW.uniform(1, 9, 8)}


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8, 1.0])
@pytest.mark.parametrize("comparable", [False, True])
def test_the_fewest_cuts_that_keep_the_budget(share, comparable):
    budget = structure.parameters(share)
    got = allocate(MODEL, SCORES, budget, comparable=comparable)
    scale = {n: 1.0 if comparable else s.mean() for n, s in SCORES.items()}
    order = sorted((s / scale[n], n, u) for n, scores in SCORES.items() for u, s in enumerate(scores))
    for cuts in range(len(order) + 1):
        lost = [(n, u) for _, n, u in order[:cuts]]
        kept = {n: [u for u in range(len(s)) if (n, u) not in lost] or [int(s.argmax())] for n, s in SCORES.items()}
        if budget.cost(MODEL, kept) <= budget.allowed(MODEL):
            assert got == kept
            return
    raise AssertionError("no number of cuts keeps the budget")


def test_uniform_takes_the_same_share():
    got = allocate(MODEL, SCORES, structure.parameters(0.4), ranking="uniform")
    assert abs(len(got["a:1"]) / 6 - len(got["b:1"]) / 8) <= 1 / 6
    for name, units in got.items():
        assert units == best(SCORES[name], len(units))


@pytest.mark.parametrize("ranking", ["global", "uniform"])
def test_multiples(ranking):
    got = allocate(MODEL, SCORES, structure.parameters(0.6), ranking=ranking, round_to=3)
    assert all(len(units) % 3 == 0 or len(units) == len(SCORES[name]) for name, units in got.items())
    assert structure.parameters(0.6).cost(MODEL, got) <= structure.parameters(0.6).allowed(MODEL)


def test_a_limit_out_of_reach_is_refused_with_what_is_reached():
    with pytest.raises(ValueError, match="limit is 3, and the cost is 4"):
        allocate(MODEL, SCORES, structure.parameters(limit=3))
    assert allocate(MODEL, SCORES, structure.parameters(limit=4)) == {
        name: best(scores, 1) for name, scores in SCORES.items()
    }
    with pytest.raises(ValueError, match="'even' is unknown"):
        allocate(MODEL, SCORES, structure.parameters(0.5), ranking="even")


def test_the_search_spends_what_it_may():
    calls = []

    def cost(model, kept):
        calls.append(kept)
        return float(sum(len(v) for v in kept.values()) if kept else 14)

    allocate(MODEL, SCORES, structure.Budget("units", cost, 0.5, None, 2))
    assert len(calls) == 4  # the whole, the least, and two tries


def test_counts_by_hand():
    assert [rounded(n, 10, 4) for n in (0, 1, 4, 5, 9)] == [4, 4, 4, 8, 10]
    assert best(np.array([1.0, 1.0, 2.0]), 2) == [0, 2]


@pytest.mark.parametrize(
    ("keep", "message"),
    [(0.0, r"not a share in \(0, 1\]"), (1.5, r"not a share in \(0, 1\]"), ({"a:1": 0}, "at least one"),
     ({"a:1": 7}, "6 units"), ({"z": 1}, "names 'z'")],
)  # fmt: skip
def test_bad_shares_are_refused(keep, message):
    with pytest.raises(ValueError, match=message):
        explicit([g for g in GROUPS if not g.frozen], SCORES, keep, 1)


def test_shares_counts_and_indices():
    groups = [g for g in GROUPS if not g.frozen]
    kept = explicit(groups, SCORES, {"a:1": 0.5, "b:1": 3}, 1)
    assert kept == {"a:1": best(SCORES["a:1"], 3), "b:1": best(SCORES["b:1"], 3)}
    assert explicit(groups, SCORES, {"a:1": [4, 1]}, 1) == {"a:1": [1, 4]}
