"""Convolutional sparse coding: sums against SciPy, codes against the optimality conditions, planted filters."""

import numpy as np
import pytest
import scipy.signal

from compressjax import data
from compressjax.data.sparse import _convolutional


def test_sums_are_full_convolutions(draw):
    maps, filters = draw.normal(size=(2, 5, 4, 3)).astype(np.float32), draw.normal(size=(3, 2, 2)).astype(np.float32)
    expected = [sum(scipy.signal.convolve2d(m[:, :, k], filters[k]) for k in range(3)) for m in maps]
    np.testing.assert_allclose(_convolutional._drawn(maps, filters), expected, atol=1e-5)


def test_codes_are_optimal(draw):
    filters = draw.normal(size=(2, 2, 2)).astype(np.float32)
    x, penalty = draw.normal(size=(1, 5, 5)).astype(np.float32), 0.5
    maps = np.asarray(data.Filters(filters, penalty).transform(x))
    rest = x - np.asarray(_convolutional._drawn(maps, filters))
    slopes = np.stack([scipy.signal.correlate2d(rest[0], f, "valid") for f in filters], -1)
    moved = maps[0] != 0
    np.testing.assert_allclose(slopes[moved], penalty * np.sign(maps[0][moved]), atol=1e-3)
    assert (np.abs(slopes[~moved]) <= penalty + 1e-3).all()


def test_a_planted_filter_draws_the_images(draw, key):
    planted = np.eye(3, dtype=np.float32)[None] / 3**0.5
    maps = np.where(draw.random((6, 8, 8, 1)) < 0.05, draw.uniform(1, 2, (6, 8, 8, 1)), 0).astype(np.float32)
    x = np.asarray(_convolutional._drawn(maps, planted))
    found = data.convolutional_dictionary(x, 1, 3, key, penalty=0.1, steps=30)
    assert abs(float(np.sum(np.asarray(found.filters) * planted))) > 0.99
    back = np.asarray(found.inverse_transform(found.transform(x)))
    assert np.sum((back - x) ** 2) < 0.02 * np.sum(x**2)


def test_bad_arguments_are_named(key):
    bad = np.ones((2, 4, 4))
    bad[1, 2, 3] = np.nan
    with pytest.raises(ValueError, match="image 1, row 2, column 3 is nan"):
        data.convolutional_dictionary(bad, 1, 2, key)
    with pytest.raises(ValueError, match=r"x of shape \(4, 4\)"):
        data.convolutional_dictionary(bad[0], 1, 2, key)
    with pytest.raises(ValueError, match="penalty=0 above 0"):
        data.convolutional_dictionary(np.ones((2, 4, 4)), 1, 2, key, penalty=0)
