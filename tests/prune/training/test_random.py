"""Random masks: exact counts, no favorites."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax.numerics._keys import key_data
from compressjax.prune.patterns._checks import check_distribution
from compressjax.prune.training._random import drawn_masks


def test_random_masks_have_their_counts_and_no_favorites(key):
    flat = {"a": jnp.ones((20, 30)), "b": jnp.ones((7, 3))}
    masks = drawn_masks(key_data(key), flat, 0.5, {"a": 0.8, "b": 0.0})
    assert {path: int(mask.sum()) for path, mask in masks.items()} == {"a": 120, "b": 21}
    again = drawn_masks(key_data(key), {"a": flat["a"]}, 0.8, "uniform")
    np.testing.assert_array_equal(masks["a"], again["a"])
    draw = jax.jit(lambda data: drawn_masks(data, {"a": jnp.ones((4, 5))}, 0.75, "uniform")["a"].astype(int))
    total = sum(draw(key_data(jax.random.key(i))) for i in range(200))
    # 200 draws of a quarter: 50 each, standard deviation 6.
    assert np.abs(np.asarray(total) - 50).max() < 25


def test_drawn_masks_split_the_sparsity_and_refuse_rankings(key):
    flat = {"a": jnp.zeros((20, 10)), "b": jnp.zeros((5, 8))}
    drawn = drawn_masks(key_data(key), flat, 0.75, "uniform")
    assert {path: int(mask.sum()) for path, mask in drawn.items()} == {"a": 50, "b": 10}
    check_distribution({"a": 0.5}, "mine", ranks=False)
    for bad, told in (("global", "mine.*needs a ranking"), ("evenly", "evenly")):
        with pytest.raises(ValueError, match=told):
            check_distribution(bad, "mine", ranks=False)


@pytest.mark.thorough
def test_drawn_masks_of_patterns(key):
    flat = {"a": jnp.zeros((20, 10))}
    neurons = np.asarray(drawn_masks(key_data(key), flat, 0.7, "uniform", "neuron")["a"])
    assert neurons.any(0).sum() == neurons.all(0).sum() == 3
    fan_in = np.asarray(drawn_masks(key_data(key), flat, 0.7, "erk", "balanced")["a"])
    assert fan_in.sum(0).tolist() == [6] * 10
    groups = np.asarray(drawn_masks(key_data(key), flat, 0.5, "uniform", "2:4")["a"]).reshape(5, 4, 10)
    assert (groups.sum(1) == 2).all()
    assert len({tuple(column) for column in groups.transpose(0, 2, 1).reshape(-1, 4)}) > 1
