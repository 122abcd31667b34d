"""Messages of one bit an entry."""

import jax
import numpy as np
import pytest

from compressjax.gradients import majority_sign, scaled_sign
from compressjax.gradients._signs import pack, unpack
from tests.gradients.workers import once


def test_bits_are_those_of_numpy(draw):
    x = draw.normal(size=13).astype(np.float32)
    np.testing.assert_array_equal(pack(x), np.packbits(x < 0))
    np.testing.assert_array_equal(unpack(pack(x), 13), np.where(x < 0, -1, 1))


@pytest.mark.parametrize("route", ["gather", "two-phase"])
def test_scaled_signs_and_their_contraction(route, draw):
    x = draw.normal(size=(3, 4)).astype(np.float32)
    own, mean = once(scaled_sign(route), x)
    np.testing.assert_allclose(own, np.abs(x).mean() * np.sign(x), rtol=1e-6)
    np.testing.assert_allclose(mean, own, rtol=1e-6)
    factor = 1 - np.abs(x).sum() ** 2 / (x.size * (x**2).sum())
    assert ((x - own) ** 2).sum() == pytest.approx(factor * (x**2).sum(), rel=1e-5)


def test_the_majority_decides():
    x = np.array([[[1.0, -2.0, 3.0]], [[-1.0, -9.0, 3.0]], [[5.0, -1.0, -7.0]], [[-5.0, 4.0, 1.0]]], np.float32)
    own, mean = jax.vmap(lambda x: once(majority_sign(), x, "w"), axis_name="w")(x)
    np.testing.assert_array_equal(own, np.sign(x))
    np.testing.assert_array_equal(mean, np.broadcast_to(np.float32([[[0, -1, 1]]]), x.shape))


def test_an_unknown_route_is_named():
    with pytest.raises(ValueError, match="route='ring' is unknown; choose one of gather, two-phase"):
        scaled_sign("ring")
