"""TT-SVD: planted trains, its error bound, digits and budgets."""

import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import core, lowrank
from compressjax.lowrank._tensor_train import digits


def test_planted_trains_are_exact(draw):
    a, b, c = (draw.normal(size=s) for s in ((1, 2, 3, 2), (2, 4, 2, 2), (2, 4, 4, 1)))
    kernel = jnp.asarray(np.einsum("aiox,xjpy,ykqb->ijkopq", a, b, c).reshape(32, 24), jnp.float32)
    node = core.compress({"k": kernel}, lowrank.tensor_train(rank=8, always=True))["k"]
    np.testing.assert_allclose(node.materialize(), kernel, atol=1e-4)


def test_the_error_is_below_its_bound(draw):
    """The sum of the tails of all unfoldings (Oseledets, 2011), and above the tail of each."""
    kernel = draw.normal(size=(8, 27))
    node = core.compress({"k": jnp.asarray(kernel, jnp.float32)}, lowrank.tensor_train(rank=3))["k"]
    assert [c.shape for c in node.cores] == [(1, 2, 3, 3), (3, 2, 3, 3), (3, 2, 3, 1)]
    digit = kernel.reshape(2, 2, 2, 3, 3, 3).transpose(0, 3, 1, 4, 2, 5)
    tails = [np.sum(np.linalg.svd(digit.reshape(n, -1), compute_uv=False)[3:] ** 2) for n in (6, 36)]
    assert max(tails) <= float(jnp.sum((node.materialize() - kernel) ** 2)) <= sum(tails) * 1.001


def test_digits():
    assert [digits(n, 3) for n in (784, 300, 7, 1, 64)] == [(7, 8, 14), (5, 6, 10), (1, 1, 7), (1, 1, 1), (4, 4, 4)]
    assert digits(97 * 89, 2) == (89, 97)


def test_settings():
    node = core.compress({"k": jnp.ones((64, 64))}, lowrank.tensor_train(budget=0.1))["k"]
    assert 0.08 * 4096 < node.size_bits() / 32 <= 0.1 * 4096
    for settings, message in (({}, "exactly one of rank and budget"), ({"rank": 1, "cores": 1}, "cores=1 must be")):
        with pytest.raises(ValueError, match=message):
            lowrank.tensor_train(**settings)
