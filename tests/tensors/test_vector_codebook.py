"""Vector codebooks against loops."""

import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import lift
from compressjax.tensors import VectorCodebook


def made(groups, axis, d=2):
    draw = np.random.default_rng(0)
    table, codes = draw.normal(size=(groups, 5, d)).astype(np.float32), draw.integers(0, 5, (4, 6)).astype(np.uint8)
    places = codes.shape[axis]
    dense = np.zeros((4 * (d if axis == -2 else 1), 6 * (d if axis == -1 else 1)), np.float32)
    for i, j in np.ndindex(*codes.shape):
        place = (i, j)[axis]
        vector = table[place // (places // groups), codes[i, j]]
        if axis == -2:
            dense[i * d : (i + 1) * d, j] = vector
        else:
            dense[i, j * d : (j + 1) * d] = vector
    return VectorCodebook(jnp.asarray(table), jnp.asarray(codes), axis), dense


@pytest.mark.parametrize(("groups", "axis"), [(1, -2), (4, -2), (3, -1)])
@pytest.mark.strict
def test_vectors_stand_at_their_places(groups, axis):
    node, dense = made(groups, axis)
    assert node.shape == dense.shape
    np.testing.assert_array_equal(node.materialize(), dense)
    np.testing.assert_array_equal(lift(lambda w, i: w[i])(node, jnp.array([3, 0])), dense[[3, 0]])
    np.testing.assert_array_equal(node.transpose((1, 0)).materialize(), dense.T)
    assert node.size_bits() == 24 * 3 + groups * 10 * 32


def test_fields_that_do_not_fit_are_named():
    node, _ = made(1, -1)
    assert "cut along the axis -3" in node.replace(axis=-3).misfit()
    assert "(4, 6)" in node.replace(centroids=jnp.zeros((5, 2, 2))).misfit()
