"""Lengths of messages against the formulas of docs/gradients.md."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import gradients
from compressjax.federated import integer_sum, message_bytes
from compressjax.federated._messages import Ways, send_sum
from compressjax.gradients._compressor import Draw
from compressjax.gradients._link import Link

LENGTHS = {
    "top_k": (gradients.top_k(0.1), 8 * 20), "random_k": (gradients.random_k(0.1), 4 * 20),
    "scaled_sign": (gradients.scaled_sign(), 25 + 4), "majority_sign": (gradients.majority_sign(), 25),
    "qsgd": (gradients.qsgd(7, 50), 100 + 4 * 4), "power": (gradients.power(2), 4 * 2 * 30),
    "int8": (gradients.rounded("int8"), 200 + 4), "bfloat16": (gradients.rounded(), 400),
    "count_sketch": (gradients.count_sketch(3, 7, 0.2), 4 * 21), "none": (None, 800),
    "integers": (integer_sum(8, clip=1.0), 200 * 12 // 8),
}  # fmt: skip


@pytest.mark.parametrize("name", LENGTHS)
def test_bytes_of_one_message(name):
    kind, expected = LENGTHS[name]
    assert message_bytes(kind, (20, 10), clients=10) == expected


def test_integers_are_rounded_on_one_grid_and_what_is_clipped_is_kept(draw):
    """The sum is the scale times the sum of integers, and memories hold the rest of every client."""
    x = draw.normal(size=(5, 4, 3)).astype(np.float32)
    ways = Ways(integer_sum(5, clip=1.0), None, True, frozenset({"kernel"}))
    draws = Draw(jax.random.key(0), jax.random.split(jax.random.key(1), 5), jnp.zeros((), jnp.int32))
    said, total, kept = send_sum(ways, "kernel", jnp.asarray(x), {"memory": jnp.zeros(x.shape)}, draws, Link())
    codes = np.asarray(said) * 15
    np.testing.assert_allclose(codes, np.rint(codes), atol=1e-5)
    assert np.abs(codes).max() <= 15 + 1e-5
    assert np.abs(np.asarray(said) - np.clip(x, -1, 1)).max() < 1 / 15 + 1e-6
    np.testing.assert_allclose(total, np.rint(codes).sum(0) / 15, atol=1e-6)
    np.testing.assert_allclose(kept["memory"], x - np.asarray(said), atol=1e-6)
    assert math.isclose(np.abs(x).max(), np.abs(np.asarray(kept["memory"] + said)).max(), rel_tol=1e-6)
