"""Leaves as matrices, for every kind of kernel that `observe` sees."""

from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest

from compressjax.saliency._layout import layout
from tests import helpers


def seen(*shape):
    return SimpleNamespace(squares=jnp.zeros(shape))


@pytest.mark.parametrize(
    ("shape", "stats", "matrices"),
    [
        ((5, 3), (5,), (1, 5, 3)),
        ((3, 3, 2, 8), (18,), (1, 18, 8)),
        ((3, 3, 1, 8), (9,), (1, 9, 8)),
        ((6, 4, 2), (6,), (1, 6, 8)),
        ((4, 2, 6), (8,), (1, 8, 6)),
        ((7, 5, 3), (7, 5), (7, 5, 3)),
        ((2, 7, 5, 3), (2, 7, 5), (14, 5, 3)),
        ((9, 4), (4,), (1, 4, 9)),
    ],
)
def test_there_and_back(shape, stats, matrices):
    x = helpers.array(0, shape)
    found = layout("w", shape, seen(*stats))
    assert found.matrices(x).shape == matrices
    np.testing.assert_array_equal(found.leaf(found.matrices(x)), x)


def test_inputs_are_rows():
    x = helpers.array(0, (9, 4))
    np.testing.assert_array_equal(layout("w", (9, 4), seen(9)).matrices(x)[0], x)
    np.testing.assert_array_equal(layout("w", (9, 4), seen(4)).matrices(x)[0], x.T)


@pytest.mark.parametrize(("shape", "stats"), [((9, 4), (5,)), ((7, 5, 3), (2, 5)), ((5,), (5,))])
def test_statistics_of_another_network(shape, stats):
    with pytest.raises(ValueError, match=r"w .* do not match its axes"):
        layout("w", shape, seen(*stats))
