"""Weights in a pattern: against loops, SciPy's matrices, and a hash written out in Python."""

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg

from compressjax import lift
from compressjax.tensors import Patterned


def draw(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def murmur(place, seed):
    x = place ^ seed
    x = (x ^ x >> 16) * 0x85EBCA6B % 2**32
    x = (x ^ x >> 13) * 0xC2B2AE35 % 2**32
    return x ^ x >> 16


def test_circulant_blocks_are_those_of_scipy():
    values = draw(2, 3, 4)
    dense = np.block([[scipy.linalg.circulant(values[p, q]).T for q in range(3)] for p in range(2)])
    node = Patterned(jnp.asarray(values), (8, 12), "circulant")
    np.testing.assert_array_equal(node.materialize(), dense)
    assert node.size_bits() == 24 * 32
    x = draw(5, 8)
    both = lift(lambda w, x, y: (x @ w, y @ w.T))(node, x, dense)
    np.testing.assert_allclose(both[0], x @ dense, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(both[1], dense @ dense.T, rtol=1e-5, atol=1e-5)


def test_diagonals_are_those_of_scipy():
    values = draw(8)
    dense = scipy.linalg.toeplitz(values[2::-1], values[2:])
    node = Patterned(jnp.asarray(values), (3, 6), "toeplitz")
    np.testing.assert_array_equal(node.materialize(), dense)
    x = draw(5, 3)
    both = lift(lambda w, x, y: (x @ w, y @ w.T))(node, x, dense)
    np.testing.assert_allclose(both[0], x @ dense, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(both[1], dense @ dense.T, rtol=1e-5, atol=1e-5)


def test_entries_follow_the_hash_of_their_places():
    values = draw(7)
    node = Patterned(jnp.asarray(values), (4, 3, 2), "hashed", 11)
    hashes = [murmur(place, 11) for place in range(24)]
    expected = np.array([values[(h >> 1) % 7] * (-1) ** (h & 1) for h in hashes]).reshape(4, 3, 2)
    np.testing.assert_array_equal(node.materialize(), expected)
    np.testing.assert_array_equal(lift(lambda w, i: w[i])(node, jnp.array([3, 0])), expected[[3, 0]])


@pytest.mark.parametrize(
    ("shape", "sizes", "pattern"),
    [((2, 2, 3), (6, 7), "circulant"), ((9,), (3, 6), "toeplitz"), ((0,), (3, 6), "hashed"), ((3,), (3, 1), "spiral")],
)
def test_values_that_do_not_fit_are_named(shape, sizes, pattern):
    assert str(shape) in Patterned(np.zeros(shape, np.float32), sizes, pattern).misfit()
