"""Denoising: planted ranks, and SciPy's median filter."""

import numpy as np
import pytest
from scipy.ndimage import median_filter

from compressjax import data


@pytest.mark.parametrize("noise", [None, 0.5])
def test_the_planted_rank_is_found(noise, draw):
    signal = draw.normal(size=(80, 2)) @ draw.normal(size=(2, 12)) * 2
    rows = (signal + 0.5 * draw.normal(size=(80, 12))).astype(np.float32)
    fitted = data.fit(data.denoising_pca(noise), rows)
    assert fitted.components.shape == (2, 12)
    clean = np.asarray(fitted.inverse_transform(fitted.transform(rows)))
    assert ((clean - signal) ** 2).mean() < 0.4 * ((rows - signal) ** 2).mean()


def test_medians_are_those_of_scipy(draw):
    images = draw.integers(0, 255, (2, 6, 5, 2)).astype(np.uint8)
    found = np.asarray(data.median_filter(images))
    assert found.dtype == np.uint8
    for i in range(2):
        np.testing.assert_array_equal(found[i], median_filter(images[i], (3, 3, 1), mode="nearest"))


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="size=2 must be odd"):
        data.median_filter(np.zeros((1, 3, 3, 1)), size=2)
    with pytest.raises(ValueError, match=r"images \(3, 3\)"):
        data.median_filter(np.zeros((3, 3)))
    with pytest.raises(ValueError, match="noise=0"):
        data.denoising_pca(0)
