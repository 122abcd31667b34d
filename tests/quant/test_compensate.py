"""Blocks and groups of the matrix algorithm: what may not change the result, and what is fitted when."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax.quant._compensate import Rule, Scales, compensate
from compressjax.quant._grid import make_grid
from tests import helpers

GRID = make_grid("gptq", 4)
W = np.asarray(helpers.array(0, (12, 3)))
X = np.asarray(helpers.array(1, (40, 12))) @ (np.eye(12) + np.ones((12, 12))) * np.linspace(0.2, 2, 12)
GRAM = (X.T @ X).astype(np.float32)


def solve(w=W, *, group=0, block=12, by_activation=False):
    rule = Rule(GRID, group, block, 0.01, by_activation)
    scales = Scales(jnp.broadcast_to(np.abs(w).max(0) / 7, w.shape), None)
    return jax.jit(compensate, static_argnums=3)(jnp.asarray(w), jnp.asarray(GRAM), scales, rule)


@pytest.mark.parametrize("block", [1, 5, 128])
def test_blocks_change_nothing(block):
    np.testing.assert_allclose(solve(block=block).weights, solve().weights, atol=1e-5)


def test_a_block_holds_whole_groups():
    np.testing.assert_allclose(solve(group=4, block=6).weights, solve(group=4).weights, atol=1e-5)
    np.testing.assert_allclose(solve(group=6, block=4).weights, solve(group=6).weights, atol=1e-5)


def test_scales_of_groups_by_definition():
    """In float64 with an explicit inverse: scales come from the weights as they are when their group is reached."""
    h = GRAM.astype(np.float64)
    inverse = np.linalg.inv(h + 0.01 * np.mean(np.diagonal(h)) * np.eye(12))
    w, scale = W.astype(np.float64), np.zeros((12, 3))
    for i in range(12):
        if i % 4 == 0:
            scale[i : i + 4] = np.abs(w[i : i + 4]).max(0) / 7
        rounded = np.clip(np.round(w[i] / scale[i]), -7, 7) * scale[i]
        w -= np.outer(inverse[i], (w[i] - rounded) / inverse[i, i])
        inverse -= np.outer(inverse[i], inverse[i]) / inverse[i, i]
        w[i] = rounded
    found = solve(group=4)
    np.testing.assert_allclose(found.scales.scale, scale, rtol=1e-4)
    np.testing.assert_allclose(found.weights, w, atol=1e-4)


def test_order_by_activation_is_a_permutation_of_the_inputs():
    order = np.argsort(-np.diagonal(GRAM), kind="stable")
    rule, scale = Rule(GRID, 0, 12, 0.01, False), np.broadcast_to(np.abs(W).max(0) / 7, W.shape)
    direct = compensate(
        jnp.asarray(W[order]), jnp.asarray(GRAM[order][:, order]), Scales(jnp.asarray(scale), None), rule
    )
    np.testing.assert_allclose(np.asarray(solve(by_activation=True).weights)[order], direct.weights, atol=1e-6)
    assert np.abs(np.asarray(solve(by_activation=True).weights - solve().weights)).max() > 0.1
