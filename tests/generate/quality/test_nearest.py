"""A generator that copies is found; one that draws anew is not."""

import numpy as np
import pytest

from compressjax import generate


def test_copies_are_found():
    draw = np.random.default_rng(0)
    train, held, new = (draw.normal(size=(n, 4, 2)) for n in (600, 500, 500))
    copies = train[:100] + 1e-3
    found = generate.memorized(copies, train, held)
    np.testing.assert_array_equal(found.places, np.arange(100))
    np.testing.assert_allclose(found.distances, 1e-3 * np.sqrt(8), rtol=1e-6)
    assert found.share == 1.0
    assert generate.memorized(new, train, held).share < 0.05


def test_distances_are_exact_far_from_the_origin_and_in_blocks():
    train = 1e8 + np.arange(600.0)[:, None]
    found = generate.memorized(1e8 + (np.arange(600)[::-1, None] + 0.25), train, train + 0.4)
    np.testing.assert_array_equal(found.places, np.arange(599, -1, -1))
    np.testing.assert_array_equal(found.distances, 0.25)


def test_other_shapes_are_refused():
    with pytest.raises(ValueError, match=r"training set \(2, 3\)"):
        generate.memorized(np.ones((2, 2)), np.ones((2, 3)), np.ones((2, 2)))
