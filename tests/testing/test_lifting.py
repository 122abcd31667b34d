"""Bounds of the law of `lift`: magnitudes, and shapes that have no function of their own."""

import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import tensors, testing
from compressjax.testing._lifting import assert_lifted, functions, magnitude
from tests.helpers import array


def test_magnitudes_of_products_and_affine_grids():
    left, right = array(0, (4, 2)), array(1, (2, 3))
    low = tensors.LowRank(left, right)
    np.testing.assert_allclose(magnitude(low), np.abs(left) @ np.abs(right), rtol=1e-6)
    grid = tensors.Quantized(jnp.uint8([[7, 2]]), jnp.float32([[0.5]]), jnp.int32([[4]]))
    assert magnitude(grid).tolist() == [[1.5 + 4, 1 + 4]]
    both = magnitude(tensors.Sum((low, tensors.Masked(-jnp.ones((4, 3)), jnp.eye(4, 3, dtype=bool)))))
    np.testing.assert_allclose(both, magnitude(low) + np.eye(4, 3), rtol=1e-6)


@pytest.mark.parametrize("shape", [(), (3,), (3, 2), (3, 2, 2), (3, 3, 2, 2), (3, 2, 1, 2, 1)])
def test_every_rank_has_functions_that_are_linear(shape):
    table, x_shape = functions(shape)
    w, x = array(0, shape), array(1, x_shape)
    for f in table.values():
        np.testing.assert_allclose(f(2 * w, x), 2 * f(w, x), rtol=1e-5)


def test_a_wrong_lift_is_found():
    with pytest.raises(testing.Broken, match="lift: scale is off by"):
        assert_lifted(tensors.Sum((array(0, (4,)),)), 0, lambda f: lambda w, x: f(w.materialize() + 0.01, x))
