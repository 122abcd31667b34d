"""Ranks from settings: numbers, shares, a mapping, what stands above the noise, and what is refused."""

import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import core, lowrank
from compressjax.lowrank._rule import make_rule


def test_ranks_from_shapes():
    shape = (3, 3, 16, 32)
    assert make_rule("svd", 40).fixed("k", shape, 3, 0) == 32
    assert make_rule("svd", 0.25).fixed("k", shape, 3, 0) == 8
    assert make_rule("svd", None, None, 0.5).fixed("k", shape, 3, 0) == 0.5 * 144 * 32 // (144 + 32)
    assert make_rule("svd", {"k": 3}).fixed("k", shape, 3, 0) == 3
    assert make_rule("svd", "evbmf").fixed("k", shape, 3, 0) is None
    assert make_rule("svd", energy=0.9).shown == "energy=0.9"


def test_ranks_above_the_noise(draw):
    noisy = draw.normal(size=(40, 3)) @ draw.normal(size=(3, 60)) + 0.1 * draw.normal(size=(40, 60))
    params = {"signal": jnp.asarray(noisy, jnp.float32), "noise": jnp.asarray(draw.normal(size=(40, 60)), jnp.float32)}
    for rank in ("evbmf", "hard_threshold"):
        with pytest.warns(core.LeftOutWarning, match=f"noise  rank={rank} finds no direction above the noise"):
            tree = core.compress(params, lowrank.svd(rank=rank))
        assert tree["signal"].rank == 3
        assert tree["noise"] is params["noise"]


def test_a_rank_for_every_leaf():
    params = {"a": jnp.ones((8, 8)), "b": jnp.ones((8, 8)), "c": jnp.ones((8, 8))}
    with pytest.warns(core.LeftOutWarning, match="b  rank= has no entry for it"):
        tree = core.compress(params, lowrank.svd(rank={"a": 1, "c": np.int64(3)}))
    assert (tree["a"].rank, tree["b"] is params["b"], tree["c"].rank) == (1, True, 3)


@pytest.mark.parametrize(
    ("rank", "message"),
    [
        ("bic", r"rank='bic' is unknown; use a number, or one of \('evbmf', 'hard_threshold'\)"),
        ({"a": 0}, "ranks must be at least 1"),
        ({"a": 0.5}, "rank of 'a' is a float 0.5; it must be an integer"),
    ],
)
def test_bad_ranks(rank, message):
    with pytest.raises(ValueError, match=message):
        make_rule("svd", rank)
