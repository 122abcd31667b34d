"""Patches against a plain loop over positions."""

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.interpret.observing import _patches
from tests.interpret import samples


def test_patches_in_chunks(monkeypatch):
    """A strided convolution of two groups, one image at a time."""
    kernel = (2, 3, 2, 6)
    f = lambda x, w: jax.lax.conv_general_dilated(  # noqa: E731
        x, w, (2, 1), ((1, 0), (1, 1)), rhs_dilation=(1, 2), feature_group_count=2,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )  # fmt: skip
    x = samples.floats(samples.rng(0), 3, 4, 5, 4)
    params = samples.equation(f, x, jnp.zeros(kernel)).params
    monkeypatch.setattr(_patches, "_ENTRIES", 1)
    chunks = _patches.in_chunks(x, kernel, params)
    assert chunks.shape == (3, 1, 4, 5, 2, 2)
    padded = np.pad(np.asarray(x), ((0, 0), (1, 0), (1, 1), (0, 0)))
    for image, chunk in zip(padded, chunks, strict=True):
        rows = [
            image[top : top + 2, left : left + 5 : 2, 2 * group : 2 * group + 2]
            for top in range(0, 4, 2) for left in range(3) for group in range(2)
        ]  # fmt: skip
        got = np.asarray(_patches.patches(chunk, kernel, params, (0, 1, 2)))
        key = lambda rows: sorted(map(tuple, rows.reshape(len(rows), -1).round(5)))  # noqa: E731
        assert key(got) == key(np.stack(rows))
