"""Crops: all of an image is a resize; a part of a ramp is a ramp that shows where it was cut."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import data


def test_the_whole_image_is_a_resize(key, draw):
    x = jnp.asarray(draw.normal(size=(2, 6, 6, 1)), jnp.float32)
    found = jax.jit(lambda k, x: data.random_resized_crop(k, x, (3, 4), area=(1, 1), ratio=1.0))(key, x)
    np.testing.assert_allclose(found, jax.image.resize(x, (2, 3, 4, 1), "linear"), atol=1e-5)


def test_parts_lie_inside_and_have_the_wanted_area(key):
    ramp = jnp.broadcast_to(jnp.arange(32.0)[:, None, None], (200, 32, 32, 1))
    crop = jax.jit(lambda k, x: data.random_resized_crop(k, x, (4, 4), area=(0.25, 0.25), ratio=1.0))
    found = np.asarray(crop(key, ramp))[:, :, 0, 0]
    steps = np.diff(found, axis=1)[:, 1:2]
    np.testing.assert_allclose(steps, 4.0, atol=1e-3)  # 16 of 32 rows in 4
    assert 0 <= found.min() <= found.max() <= 31
    assert np.ptp(found[:, 1]) > 14


def test_bad_arguments_are_named(key):
    with pytest.raises(ValueError, match=r"uint8\[1, 4, 4, 1\] must be floats"):
        data.random_resized_crop(key, jnp.ones((1, 4, 4, 1), jnp.uint8), (2, 2))
    with pytest.raises(ValueError, match="area="):
        data.random_resized_crop(key, jnp.ones((1, 4, 4, 1)), (2, 2), area=(0, 1))
