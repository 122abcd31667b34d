"""Codebook: lookups by hand, gradients that add up by code, the width of codes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import core, tensors
from tests import helpers


@pytest.mark.parametrize(("k", "width"), [(1, 0), (2, 1), (3, 2), (4, 2), (5, 3), (16, 4), (17, 5), (256, 8)])
def test_size_is_the_width_of_k(k: int, width: int) -> None:
    node = tensors.Codebook(jnp.zeros(k), jnp.zeros((3, 5), jnp.uint8))
    assert node.size_bits() == 15 * width + 32 * k
    assert node.size_bits(4) == 4 * width + 32 * k


def test_codes_above_127_are_not_negative() -> None:
    table = np.arange(256, dtype=np.float32)
    node = tensors.Codebook(jnp.asarray(table), jnp.asarray(np.arange(256), jnp.uint8))
    np.testing.assert_array_equal(node.materialize(), table)
    batched = tensors.Codebook(jnp.asarray(table)[None], jnp.asarray(np.arange(256), jnp.uint8)[None])
    np.testing.assert_array_equal(batched.materialize(), table[None])


def test_gradient_of_a_centroid_adds_its_entries() -> None:
    """Deep compression, arXiv:1510.00149, equation 3: the gradient of a centroid is the sum over its entries."""
    codes = np.array([[0, 1, 1], [2, 1, 0]])
    weight = np.asarray(helpers.array(0, (2, 3)))
    node = tensors.Codebook(jnp.zeros(4), jnp.asarray(codes, jnp.uint8))
    grad = jax.grad(lambda n: (weight * n.materialize()).sum(), allow_int=True)(node)
    np.testing.assert_allclose(grad.centroids, [weight[codes == c].sum() for c in range(4)], rtol=1e-6)


def test_lookup_of_another_table() -> None:
    node = tensors.Codebook(jnp.array([[0.0, 1.0], [2.0, 3.0]]), jnp.array([[1, 0], [1, 1]], jnp.uint8))
    assert node.materialize().tolist() == [[1.0, 0.0], [3.0, 3.0]]
    assert node.lookup(jnp.array([[5, 6], [7, 8]])).tolist() == [[6, 5], [8, 8]]


def test_value_path() -> None:
    node = tensors.Codebook(jnp.zeros(4), jnp.zeros((3, 5), jnp.uint8))
    assert list(core.values({"w": node})) == ["w/centroids"]
