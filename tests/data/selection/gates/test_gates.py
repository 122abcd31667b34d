"""The contract: any functions of this form train with a model."""

import jax.numpy as jnp

from compressjax import data
from tests.data.selection.gates.train import trained


def test_gates_of_a_user_train():
    gates = data.Gates(
        lambda key: jnp.ones(6), lambda p, x, key=None: x * p[None], lambda p: jnp.sum(jnp.abs(p)),
        lambda p, k=None: data.select_by(jnp.abs(p), k or 1), "plain",
    )  # fmt: skip
    params, error = trained(gates, 0.001)
    assert gates.select(params, 2).places.tolist() == [1, 4]
    assert error < 0.05
