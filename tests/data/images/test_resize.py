"""Sizes: weights by hand, types, limits."""

import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import data


def test_half_the_size_is_a_triangle_of_pixels(draw):
    x = draw.normal(size=(1, 8, 1, 2)).astype(np.float32)
    found = np.asarray(data.resize(x, (4, 1)))
    for i in (1, 2):  # away from the border
        want = np.tensordot([1 / 8, 3 / 8, 3 / 8, 1 / 8], x[0, 2 * i - 1 : 2 * i + 3, 0], 1)
        np.testing.assert_allclose(found[0, i, 0], want, rtol=1e-5)


def test_integers_are_rounded_and_stay_in_their_limits():
    x = jnp.zeros((1, 4, 4, 1), jnp.uint8).at[:, :2].set(255)
    found = data.resize(x, (7, 7), method="cubic")
    assert found.dtype == jnp.uint8
    assert set(np.unique(found)) >= {0, 255}
    with pytest.raises(ValueError, match="method='area'"):
        data.resize(x, (2, 2), method="area")
    with pytest.raises(ValueError, match=r"size=\(0, 2\)"):
        data.resize(x, (0, 2))
    with pytest.raises(ValueError, match=r"images \(4, 4\)"):
        data.resize(x[0, :, :, 0], (2, 2))
