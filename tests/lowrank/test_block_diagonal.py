"""Projections onto block-diagonal matrices, with and without a search for permutations."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import core, lowrank


def test_neighbors_stay(draw):
    kernel = draw.normal(size=(6, 4)).astype(np.float32)
    node = core.compress({"k": jnp.asarray(kernel)}, lowrank.block_diagonal(2))["k"]
    expected = np.zeros_like(kernel)
    expected[:3, :2], expected[3:, 2:] = kernel[:3, :2], kernel[3:, 2:]
    np.testing.assert_array_equal(node.materialize(), expected)


def test_a_planted_permutation_is_found(draw):
    blocks = np.zeros((12, 9), np.float32)
    for k in range(3):
        blocks[4 * k : 4 * k + 4, 3 * k : 3 * k + 3] = draw.normal(size=(4, 3))
    kernel = jnp.asarray(blocks[draw.permutation(12)][:, draw.permutation(9)])
    node = core.compress({"k": kernel}, lowrank.block_diagonal(3, order="search"))["k"]
    np.testing.assert_array_equal(node.materialize(), kernel)


def test_the_search_keeps_more(draw):
    kernel = jnp.asarray(draw.normal(size=(16, 16)), jnp.float32)
    kept = {
        order: float(
            jnp.sum(core.compress({"k": kernel}, lowrank.block_diagonal(4, order=order))["k"].materialize() ** 2)
        )
        for order in ("natural", "search")
    }
    assert kept["search"] > 1.3 * kept["natural"]


def test_settings():
    with pytest.raises(ValueError, match="4 blocks do not divide its inputs"):
        core.compress({"k": jnp.ones((6, 4))}, lowrank.block_diagonal(4))
    with pytest.raises(ValueError, match="order='search' chooses the order of 'k'"):
        jax.jit(lowrank.block_diagonal(2, order="search").encode)({"k": jnp.ones((6, 4))}, ())
    for settings in ({"blocks": 0}, {"blocks": 2, "order": "random"}):
        with pytest.raises(ValueError, match="block_diagonal: blocks="):
            lowrank.block_diagonal(**settings)
