"""Products with random vectors against the exact decomposition."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import core, lowrank
from compressjax.lowrank._randomized import randomized


@pytest.mark.parametrize("kind", ["flat", "decaying"])
def test_is_within_a_percent_of_the_best(draw, kind):
    matrix = draw.normal(size=(120, 90)).astype(np.float32)
    if kind == "decaying":
        matrix *= np.arange(1.0, 91.0, dtype=np.float32) ** -1.0
    left, values, right = randomized(matrix, matrix.shape, 8, jax.random.key(0))
    near = (left[:, :8] * values[:8]) @ right[:8]
    best = np.sqrt(np.sum(np.linalg.svd(matrix, compute_uv=False)[8:] ** 2))
    assert best * 0.999 <= np.linalg.norm(matrix - near) <= 1.01 * best


def test_batches_and_traces(key):
    """Small matrices are spanned whole, so the result is exact; a trace draws other numbers."""
    layers = jax.random.normal(key, (2, 9, 7))
    c = lowrank.svd(rank=2, batch=1, solver="randomized", key=key)
    exact = core.compress({"k": layers}, lowrank.svd(rank=2, batch=1))["k"].materialize()
    for found in (core.compress({"k": layers}, c)["k"], jax.jit(c.encode)({"k": layers}, ())["k"]):
        np.testing.assert_allclose(found.materialize(), exact, atol=1e-4)


def test_zeros():
    node = core.compress({"k": jnp.zeros((20, 30))}, lowrank.svd(rank=2, solver="randomized", key=jax.random.key(1)))[
        "k"
    ]
    np.testing.assert_array_equal(node.materialize(), 0)
