"""BinaryConnect: signs, draws with the published chances, clipped weights."""

import jax
import jax.numpy as jnp
import numpy as np

from compressjax import core, quant


def test_draws_have_the_hard_sigmoid_as_chance():
    params = {"kernel": jnp.broadcast_to(jnp.array([[-3.0], [-0.5], [0.0], [0.6], [2.0]]), (5, 4000))}
    method = quant.binary_connect(jax.random.key(0))
    state = method.init(params)
    first = np.asarray(method.view(params, state)["kernel"])
    # 4,000 draws of a fair coin have a standard deviation of 0.008.
    np.testing.assert_allclose((first > 0).mean(1), [0.0, 0.25, 0.5, 0.8, 1.0], atol=0.04)
    moved, state = method.after_step(params, state)
    assert moved["kernel"].min() == -1.0
    assert moved["kernel"].max() == 1.0
    assert (first[2] != np.asarray(method.view(params, state)["kernel"])[2]).mean() > 0.4


def test_a_weight_takes_a_bit():
    tree = core.compress({"kernel": jnp.where(jnp.arange(64).reshape(8, 8) % 3 == 0, 0.5, -0.2)},
                         {".*": quant.binary_connect()})  # fmt: skip
    assert tree["kernel"].size_bits() == 64 + 2 * 32
    assert set(np.ravel(tree["kernel"].materialize()).tolist()) == {1.0, -1.0}
