"""Brightness by Rec. 601."""

import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import data


def test_it_is_the_formula(draw):
    colors = draw.integers(0, 256, (2, 3, 3, 4)).astype(np.uint8)
    want = colors[..., :3].astype(np.float64) @ [0.299, 0.587, 0.114]
    found = data.to_gray(colors)
    assert found.dtype == jnp.uint8
    assert found.shape == (2, 3, 3, 1)
    assert np.abs(np.asarray(found[..., 0]) - want).max() <= 0.5 + 1e-4
    np.testing.assert_allclose(data.to_gray(colors.astype(np.float32))[..., 0], want, rtol=1e-5)
    assert data.to_gray(jnp.ones((1, 3), jnp.bfloat16)).dtype == jnp.bfloat16
    with pytest.raises(ValueError, match=r"images \(4, 4, 2\)"):
        data.to_gray(np.zeros((4, 4, 2)))
