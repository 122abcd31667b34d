"""Block reconstruction: less error of the outputs of a block than rounding, on the same grid."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import core, quant, tensors
from compressjax.interpret import lift
from tests import helpers


def block(p, x):
    """A residual block with a nonlinearity."""
    return x + jnp.tanh(x @ p["up"] + p["bias"][None]) @ p["down"]


@pytest.fixture(scope="module")
def case():
    params = {"up": helpers.array(0, (12, 16)), "bias": helpers.array(1, (16,)), "down": helpers.array(2, (16, 12))}
    x = helpers.array(3, (64, 12)) @ (jnp.eye(12) + 0.5) / 3
    return params, x, np.asarray(block(params, x))


@pytest.mark.turns(2)
@pytest.mark.parametrize("bits", [2, 3])
def test_the_outputs_of_the_block_change_less(case, bits):
    params, x, want = case
    small = quant.reconstruct(block, params, x, bits)
    plain = core.compress(params, {"up|down": quant.rtn(bits)})
    losses = [np.sum((np.asarray(lift(block)(tree, x)) - want) ** 2) for tree in (small, plain)]
    assert losses[0] < 0.5 * losses[1]
    for name in ("up", "down"):
        assert isinstance(small[name], tensors.Quantized)
        np.testing.assert_array_equal(small[name].scale, plain[name].scale)
        steps = np.abs(np.asarray(small[name].dense_codes(), int) - np.asarray(plain[name].dense_codes(), int))
        assert steps.max() == 1
    assert small["bias"] is params["bias"]


def test_targets_make_up_for_what_came_before(case):
    params, x, want = case
    moved = x + 0.1 * helpers.array(4, x.shape)
    small = quant.reconstruct(block, params, moved, 3, targets=jnp.asarray(want), select="down", steps=150)
    assert not core.is_node(small["up"])
    plain = core.compress(params, {"down": quant.rtn(3)})
    losses = [np.sum((np.asarray(lift(block)(tree, moved)) - want) ** 2) for tree in (small, plain)]
    assert losses[0] < losses[1]


def test_bad_settings_and_data(case):
    params, x, _ = case
    for settings in ({"steps": 3}, {"learning_rate": 0.0}, {"penalty": -1.0}, {"select": "none"}, {"granularity": 5}):
        with pytest.raises(ValueError, match=r"reconstruct|group size 5 does not divide"):
            quant.reconstruct(block, params, x, **settings)
    with pytest.raises(ValueError, match="reconstruct: 'inputs' has 1 non-finite numbers"):
        quant.reconstruct(block, params, jax.numpy.asarray(x).at[0, 0].set(jnp.nan), 4)
