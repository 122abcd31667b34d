"""LowRank: einsum as the second opinion, gradients in closed form, sizes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import core, tensors
from tests import helpers


@pytest.mark.parametrize(
    ("left", "right", "inputs", "spec"),
    [
        ((4, 2), (2, 3), 1, "ir,ro->io"),
        ((4, 5, 2), (2, 3), 2, "ijr,ro->ijo"),
        ((4, 2), (2, 3, 5), 1, "ir,rop->iop"),
        ((3, 3, 4, 2), (2, 5), 3, "hwir,ro->hwio"),
        ((6, 4, 2), (6, 2, 3), 1, "bir,bro->bio"),
        ((6, 4, 5, 2), (6, 2, 3), 2, "bijr,bro->bijo"),
        ((2, 6, 4, 2), (2, 6, 2, 3), 1, "abir,abro->abio"),
    ],
)
def test_axes(left: tuple[int, ...], right: tuple[int, ...], inputs: int, spec: str) -> None:
    node = tensors.LowRank(helpers.array(0, left), helpers.array(1, right), inputs)
    expected = np.einsum(spec, helpers.float64(node.left), helpers.float64(node.right))
    assert node.shape == expected.shape
    assert node.rank == 2
    assert node.batch == len(left) - 1 - inputs
    np.testing.assert_allclose(node.materialize(), expected, atol=1e-5)


def test_gradient_of_the_factors() -> None:
    """For `sum(G * LR)` the gradients are `G R^T` and `L^T G`."""
    node = tensors.LowRank(helpers.array(0, (4, 2)), helpers.array(1, (2, 3)))
    weight = helpers.array(2, (4, 3))
    grad = jax.grad(lambda n: (weight * n.materialize()).sum())(node)
    np.testing.assert_allclose(grad.left, np.asarray(weight) @ np.asarray(node.right).T, rtol=1e-5)
    np.testing.assert_allclose(grad.right, np.asarray(node.left).T @ np.asarray(weight), rtol=1e-5)


def test_value_paths_and_size() -> None:
    node = tensors.LowRank(helpers.array(0, (4, 2)), helpers.array(1, (2, 3), "bfloat16"))
    assert list(core.values({"w": node})) == ["w/left", "w/right"]
    assert list(core.values(node)) == ["left", "right"]
    assert node.size_bits() == 8 * 32 + 6 * 16


def test_rank_zero_is_the_zero_matrix() -> None:
    node = tensors.LowRank(jnp.zeros((4, 0)), jnp.zeros((0, 3)))
    assert node.size_bits() == 0
    np.testing.assert_array_equal(node.materialize(), np.zeros((4, 3)))
