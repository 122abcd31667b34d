"""Ranks under a budget: the tables against the factors, the choice against brute force and a uniform rank."""

import itertools

import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import core, lowrank, search
from compressjax.interpret import observe


def layers(draw):
    """Spectra that fall at different speeds: a rank for all is wrong for some."""
    made = {}
    for i, power in enumerate((0.1, 1.0, 3.0)):
        left, right = (np.linalg.qr(draw.normal(size=(24, 24)))[0] for _ in range(2))
        made[f"layer{i}"] = jnp.asarray(left * np.arange(1.0, 25.0) ** -power @ right, jnp.float32)
    return made


def relative(params, tree):
    return sum(float(jnp.sum((x - core.materialize(tree)[path]) ** 2) / jnp.sum(x**2)) for path, x in params.items())


def test_budgeted_ranks_beat_a_uniform_rank_at_equal_bytes(draw):
    params = layers(draw)
    table = lowrank.rank_options(params)
    uniform = core.compress(params, lowrank.svd(rank=4))
    size = sum(core.storage(uniform).values()) // 8
    choice = search.choose(table.losses, table.costs, {"bytes": size})
    ranks = table.ranks(choice.options)
    tree = core.compress(params, {"|".join(ranks): lowrank.svd(rank=ranks)})
    assert sum(core.storage(tree).values()) // 8 == choice.costs["bytes"] <= size
    assert relative(params, tree) == pytest.approx(choice.loss, rel=1e-3)
    assert choice.loss < 0.9 * relative(params, uniform)
    every = itertools.product(*(table.losses[path] for path in params))
    costs = table.costs["bytes"]
    best = min(
        sum(table.losses[path][o] for path, o in zip(params, chosen))
        for chosen in every
        if sum(costs[path][o] for path, o in zip(params, chosen)) <= size
    )
    assert choice.loss == pytest.approx(best)


def test_with_statistics_the_loss_is_that_of_the_outputs(draw):
    params = {"a": jnp.asarray(draw.normal(size=(8, 12)), jnp.float32)}
    x = jnp.asarray(draw.normal(size=(30, 8)) * np.logspace(0, -1, 8), jnp.float32)
    y, stats = observe(lambda p, x: x @ p["a"])(params, x)
    table = lowrank.rank_options(params, stats, calls={"a": 5})
    small = core.compress(params, lowrank.svd_llm(rank=2), stats)
    lost = jnp.sum((x @ small["a"].materialize() - y) ** 2) / jnp.sum(y**2)
    assert table.losses["a"]["2"] == pytest.approx(float(lost), rel=1e-3)
    assert table.costs["multiply_adds"]["a"] == {"1": 100, "2": 200, "3": 300, "4": 400, "dense": 480}


def test_leaves_without_options():
    params = {
        "kernel": jnp.ones((8, 8)),
        "tiny": jnp.ones((2, 2)),
        "flat": jnp.ones((1, 1)),
        "zeros": jnp.zeros((8, 8)),
    }
    table = lowrank.rank_options(params, options=1)
    assert table.losses == {"kernel": {"3": pytest.approx(0, abs=1e-9), "dense": 0}, "zeros": {"3": 0, "dense": 0}}
    for settings, message in (
        ({"select": "bias"}, "selects nothing of"),
        ({"select": "tiny|flat"}, "no rank makes any of"),
        ({"options": 0}, "options=0 must be at least 1"),
    ):
        with pytest.raises(ValueError, match=message):
            lowrank.rank_options(params, **settings)
