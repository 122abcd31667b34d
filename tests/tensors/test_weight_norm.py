"""Tensors in polar form: lengths and gradients in closed form, layout moves, shares of devices."""

import jax
import jax.numpy as jnp
import numpy as np

from compressjax import tensors
from compressjax.core import Dense, ops
from compressjax.core.ops import Spec
from tests import helpers
from tests.interpret import samples


def polar() -> tensors.WeightNorm:
    return tensors.WeightNorm(helpers.array(0, (2, 5, 3)), jnp.abs(helpers.array(1, (2, 1, 3))) + 1)


def test_lengths_and_gradients():
    node = polar()
    np.testing.assert_allclose(jnp.linalg.norm(node.materialize(), axis=1), node.magnitude[:, 0], rtol=1e-5)
    np.testing.assert_allclose(node.materialize(), helpers.brute(node), atol=1e-5)
    weight = helpers.array(2, (2, 5, 3))
    grad = jax.grad(lambda n: jnp.sum(weight * n.materialize()))(node)
    # Lengths see the part along the direction, directions the part across it.
    inner = np.asarray(node.inner)
    norm = np.linalg.norm(inner, axis=1, keepdims=True)
    along = np.sum(np.asarray(weight) * inner / norm, axis=1, keepdims=True)
    np.testing.assert_allclose(grad.magnitude, along, atol=1e-4)
    across = np.asarray(node.magnitude) / norm * (np.asarray(weight) - along * inner / norm)
    np.testing.assert_allclose(grad.inner, across, atol=1e-4)
    zero = jax.grad(lambda n: jnp.sum(n.materialize()))(node.replace(inner=jnp.zeros((2, 5, 3))))
    assert np.isfinite(zero.inner).all()


def test_layout_moves_and_shares():
    node = polar()
    whole = helpers.brute(node)
    moves = {
        "transpose": (ops.transpose(node, (2, 0, 1)), np.transpose(whole, (2, 0, 1))),
        "cut": (ops.cut(node, (ops.Window(1, 1), None, ops.Window(0, 2))), whole[1:, :, :2]),
        "join": (ops.concatenate([node, node], 2), np.concatenate([whole, whole], 2)),
    }
    for name, (moved, asked) in moves.items():
        assert isinstance(moved, tensors.WeightNorm), name
        samples.assert_close(helpers.brute(moved), asked, name)
    for refused in (
        ops.cut(node, (None, ops.Window(0, 2), None)), ops.concatenate([node, node], 1), ops.reshape(node, (30,)),
        ops.specs(node, Spec(None, "d"), {"d": 5}),
    ):  # fmt: skip
        assert isinstance(refused, Dense)
    found = ops.specs(node, Spec("layer", None, "out"), {})
    assert (found.inner, found.magnitude) == (Spec("layer", None, "out"), Spec("layer", None, "out"))
    assert "magnitude has the shape (2, 3)" in node.replace(magnitude=jnp.ones((2, 3))).misfit()
