"""Integers whose sum is exact: unbiased, the same under masks, and without overflow."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax.federated import integer_sum, pairwise_masks
from compressjax.federated._sums import to_integers

CLIENTS = 10


def test_masked_integers_have_the_same_sum(draw):
    """Modulo the least power of two that holds the sum, every client at its largest integer."""
    kind = integer_sum(6)
    width = kind.width(CLIENTS)
    assert 2 ** (width - 1) < 2 * CLIENTS * kind.levels + 1 <= 2**width
    codes = draw.integers(-kind.levels, kind.levels + 1, (CLIENTS, 50))
    codes[:, 0], codes[:, 1] = kind.levels, -kind.levels
    masks = np.asarray(pairwise_masks(jax.random.key(0), CLIENTS, (50,), width), np.int64)
    sent = (codes + masks) % 2**width
    total = sent.sum(0) % 2**width
    total = np.where(total >= 2 ** (width - 1), total - 2**width, total)
    np.testing.assert_array_equal(total, codes.sum(0))
    # One message looks like random bits: its mean is half of the modulus, and it is not the integers.
    assert abs(sent.mean() / 2**width - 0.5) < 0.05
    assert (masks.max(), masks.min()) < (2**width, 0) or masks.min() >= 0


def test_rounding_is_unbiased_and_clipped():
    kind, x = integer_sum(3, clip=2.0), jnp.array([0.5, -0.1, 5.0, 0.0])
    codes = np.asarray(jax.vmap(lambda key: to_integers(kind, x, 2.0, key))(jax.random.split(jax.random.key(0), 4000)))
    assert set(np.unique(codes)) <= set(range(-3, 4))
    np.testing.assert_allclose(codes.mean(0), [0.75, -0.15, 3, 0], atol=0.03)


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="bits=1 must be from 2 to 16"):
        integer_sum(1)
    with pytest.raises(ValueError, match="clip=0.0 above 0"):
        integer_sum(8, clip=0.0)
    with pytest.raises(ValueError, match="clients=1 must be at least 2, and width=40 from 1 to 32"):
        pairwise_masks(jax.random.key(0), 1, (2,), 40)
