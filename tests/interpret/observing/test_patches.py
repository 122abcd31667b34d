"""Patches against a plain loop over positions."""

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.interpret.observing import _patches
from tests.interpret import samples


def test_statistics_of_patches_in_chunks(monkeypatch):
    """A strided convolution of two groups, one image at a time."""
    kernel = (2, 3, 2, 6)
    f = lambda x, w: jax.lax.conv_general_dilated(  # noqa: E731
        x, w, (2, 1), ((1, 0), (1, 1)), rhs_dilation=(1, 2), feature_group_count=2,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )  # fmt: skip
    x = samples.floats(samples.rng(0), 3, 4, 5, 4)
    params = samples.equation(f, x, jnp.zeros(kernel)).params
    monkeypatch.setattr(_patches, "_ENTRIES", 1)
    padded = np.pad(np.asarray(x), ((0, 0), (1, 0), (1, 1), (0, 0)))
    rows = np.stack([
        image[top : top + 2, left : left + 5 : 2, 2 * group : 2 * group + 2].ravel()
        for image in padded for top in range(0, 4, 2) for left in range(3) for group in range(2)
    ])  # fmt: skip
    got = _patches.of_patches("kernel", x, kernel, params, (0, 1, 2), gram=True)
    assert got.count == len(rows)
    np.testing.assert_allclose(got.total, rows.sum(0), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(got.squares, (rows**2).sum(0), rtol=1e-5)
    np.testing.assert_array_equal(got.largest, abs(rows).max(0))
    np.testing.assert_allclose(got.gram, rows.T @ rows, rtol=1e-5, atol=1e-5)
