"""Kronecker products: both orders of the product, their cost, and what does not fit."""

import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import interpret, tensors
from tests import helpers


@pytest.mark.parametrize(("left", "right"), [((2, 2, 8), (2, 6, 3)), ((2, 8, 2), (2, 3, 6))])
def test_the_cheaper_order_is_taken(left, right):
    node = tensors.Kronecker(
        helpers.array(0, left), helpers.array(1, right), (left[1] * right[1],), (left[2] * right[2],)
    )
    x = helpers.array(2, (5, node.shape[0]))
    np.testing.assert_allclose(
        interpret.lift(lambda w, x: x @ w)(node, x), helpers.float64(x) @ helpers.brute(node), atol=1e-3
    )
    (k, a, b), (_, c, d) = left, right
    assert node.multiply_adds() == k * min(a * c * b + b * c * d, a * c * d + a * d * b)
    assert "2 of" in repr(node)


def test_misfits():
    good = tensors.Kronecker(jnp.ones((2, 3, 4)), jnp.ones((2, 5, 2)), (15,), (8,))
    assert good.misfit() == ""
    assert "right (3, 5, 2)" in good.replace(right=jnp.ones((3, 5, 2))).misfit()
    assert "inputs (14,)" in good.replace(inputs=(14,)).misfit()
