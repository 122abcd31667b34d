"""CP: planted outer products, more of them than indices, matrices, budgets."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import core, lowrank


def test_planted_outer_products_are_found(draw):
    factors = [draw.normal(size=(n, 4)) for n in (3, 3, 8, 10)]
    kernel = jnp.asarray(np.einsum("ar,br,cr,dr->abcd", *factors), jnp.float32)
    node = core.compress({"conv": kernel}, lowrank.cp(rank=4, rounds=200))["conv"]
    error = jnp.linalg.norm(node.materialize() - kernel) / jnp.linalg.norm(kernel)
    assert error < 1e-2
    # Factors share their size, which helps training and quantization.
    sizes = np.stack([np.linalg.norm(f, axis=0) for f in node.factors])
    np.testing.assert_allclose(sizes, sizes[:1].repeat(4, 0), rtol=1e-3)


def test_traces_and_more_outer_products_than_indices(draw):
    kernel = jnp.asarray(draw.normal(size=(2, 4, 6)), jnp.float32)
    c = lowrank.cp(rank=5, rounds=30, always=True)
    host, traced = (np.asarray(f({"k": kernel}, ())["k"].materialize()) for f in (c.encode, jax.jit(c.encode)))
    lost = [float(np.sum((w - kernel) ** 2)) for w in (host, traced)]
    assert lost[1] == pytest.approx(lost[0], rel=0.2)
    assert lost[0] < 0.3 * float(jnp.sum(kernel**2))


def test_matrices_get_their_singular_vectors(draw):
    kernel = jnp.asarray(draw.normal(size=(12, 10)), jnp.float32)
    node = core.compress({"k": kernel}, lowrank.cp(rank=3))["k"]
    best = core.compress({"k": kernel}, lowrank.svd(rank=3))["k"]
    np.testing.assert_allclose(node.materialize(), best.materialize(), atol=1e-5)
    assert lowrank.cp(rank=12, always=True).encode({"k": kernel}, ())["k"].shape == (12, 10)


def test_settings():
    node = core.compress({"k": jnp.ones((3, 3, 8, 16))}, lowrank.cp(budget=0.25))["k"]
    assert node.rank == 0.25 * 3 * 3 * 8 * 16 // (3 + 3 + 8 + 16)
    for settings, message in (
        ({}, "exactly one of rank and budget"), ({"rank": 0}, "rank=0"), ({"budget": 2}, "budget=2"),
        ({"rank": 1, "rounds": 0}, "rounds=0"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            lowrank.cp(**settings)
