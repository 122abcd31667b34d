"""Tensor trains: three cores, their cost, and what does not fit."""

import jax.numpy as jnp
import numpy as np

from compressjax import core, interpret, tensors
from tests import helpers


def test_three_cores():
    cores = tuple(helpers.array(i, s) for i, s in enumerate([(1, 2, 3, 2), (2, 3, 1, 4), (4, 2, 2, 1)]))
    node = tensors.TensorTrain(cores, (12,), (6,))
    np.testing.assert_allclose(node.materialize(), helpers.brute(node), atol=1e-4)
    x = helpers.array(5, (7, 12))
    np.testing.assert_allclose(interpret.lift(lambda w, x: x @ w)(node, x), x @ node.materialize(), atol=1e-3)
    # By hand: 1*(3*2)*2*3*2*1 with 6 digits left, then 3*2 * (2*3*1*4), then 3 * (4*2*2*1).
    assert node.multiply_adds() == 6 * (1 * 2 * 3 * 2) + 3 * 2 * (2 * 3 * 1 * 4) + 3 * (4 * 2 * 2 * 1)
    assert list(core.values({"w": node})) == ["w/cores/0", "w/cores/1", "w/cores/2"]
    assert repr(node).startswith("TensorTrain(float32[12,6], 3 cores, rank 4")


def test_misfits():
    one, two = jnp.ones((1, 2, 3, 2)), jnp.ones((2, 3, 1, 1))
    assert tensors.TensorTrain((one, two), (6,), (3,)).misfit() == ""
    for cores, inputs in (((one, one), (4,)), ((one,), (2,)), ((one, two), (5,))):
        assert "cores have the shapes" in tensors.TensorTrain(cores, inputs, (3,)).misfit()
