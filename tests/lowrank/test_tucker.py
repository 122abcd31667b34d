"""Tucker-2: planted ranks exactly, HOOI against one-sided factorization, budgets, variational ranks."""

import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import core, lowrank
from compressjax.tensors import LowRank, Tucker


def planted(draw, noise=0.0):
    left, inner, right = draw.normal(size=(12, 3)), draw.normal(size=(3, 3, 3, 4)), draw.normal(size=(4, 16))
    clean = np.einsum("ir,hwrq,qo->hwio", left, inner, right)
    return jnp.asarray(clean + noise * draw.normal(size=clean.shape), jnp.float32)


def test_planted_ranks_are_exact(draw):
    kernel = planted(draw)
    node = core.compress({"conv": kernel}, lowrank.tucker(ranks=(3, 4)))["conv"]
    assert isinstance(node, Tucker)
    np.testing.assert_allclose(node.materialize(), kernel, atol=1e-4 * float(jnp.abs(kernel).max()))
    np.testing.assert_allclose(node.left.T @ node.left, np.eye(3), atol=1e-5)


def test_variational_ranks_are_the_planted_ones(draw):
    node = core.compress({"conv": planted(draw, 0.2)}, lowrank.tucker(ranks="evbmf"))["conv"]
    assert node.core.shape == (3, 3, 3, 4)


def test_rounds_lower_the_error(draw):
    kernel = jnp.asarray(draw.normal(size=(3, 3, 12, 16)), jnp.float32)

    def loss(rounds):
        node = core.compress({"k": kernel}, lowrank.tucker(ranks=(4, 4), rounds=rounds))["k"]
        return float(jnp.sum((node.materialize() - kernel) ** 2))

    lost = [loss(n) for n in (0, 1, 5)]
    assert lost[0] > lost[1] > lost[2]
    # No less than what either side alone loses.
    sides = [np.moveaxis(np.asarray(kernel), axis, 0).reshape(kernel.shape[axis], -1) for axis in (2, 3)]
    assert lost[2] > max(np.sum(np.linalg.svd(side, compute_uv=False)[4:] ** 2) for side in sides)


def test_budgets_and_kernels_without_a_window(draw):
    params = {"conv": jnp.asarray(draw.normal(size=(3, 3, 32, 64)), jnp.float32), "dense": jnp.ones((32, 24))}
    tree = core.compress(params, lowrank.tucker(budget=0.25))
    share = tree["conv"].multiply_adds() / params["conv"].size
    assert 0.22 < share <= 0.25
    assert isinstance(tree["dense"], LowRank)
    with pytest.warns(core.LeftOutWarning, match=r"tucker\(ranks=\(32, 64\)\) would not make it smaller"):
        core.compress({"conv": params["conv"], "wide": jnp.ones((3, 3, 256, 256))}, lowrank.tucker(ranks=(32, 64)))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "exactly one of ranks and budget"),
        ({"ranks": (0, 2)}, "two numbers of at least 1"),
        ({"ranks": 1.5}, r"ranks=1.5 must lie in \(0, 1\]"),
        ({"ranks": "bic"}, "ranks='bic' is unknown"),
        ({"ranks": (2, 2), "rounds": -1}, "rounds=-1"),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        lowrank.tucker(**settings)
