"""Erased parts are rectangles of the wanted area and ratio, everywhere, in the wanted share of images."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import data


def test_holes_are_rectangles_within_the_ranges(key):
    x = jnp.ones((400, 12, 10, 2), jnp.uint8)
    settings = {"probability": 0.6, "area": (0.1, 0.3), "ratio": 2.0, "fill": 7}
    found = np.asarray(jax.jit(lambda k, x: data.random_erasing(k, x, **settings))(key, x))
    assert found.dtype == np.uint8
    holed, corners = [image for image in found if (image == 7).any()], set()
    for image in holed:
        rows, columns = np.nonzero(image[..., 0] == 7)
        tall, wide = np.ptp(rows) + 1, np.ptp(columns) + 1
        assert (image == 7).sum() == 2 * tall * wide
        assert 0.07 < tall * wide / 120 < 0.35
        assert 1 / 2.7 < tall / wide < 2.7
        corners.add((rows.min(), columns.min()))
    assert abs(len(holed) / 400 - 0.6) < 0.1
    assert len(corners) > 40


def test_bad_arguments_are_named(key):
    for given, said in [
        ({"probability": 2}, "probability=2"),
        ({"area": (0.5, 0.1)}, "area"),
        ({"ratio": 0.5}, "ratio"),
    ]:
        with pytest.raises(ValueError, match=said):
            data.random_erasing(key, jnp.ones((1, 4, 4, 1)), **given)
    with pytest.raises(ValueError, match="must be"):
        data.random_erasing(key, jnp.ones((4, 4, 1)))
