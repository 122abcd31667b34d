"""Bias correction: the mean output is that of the dense layer."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import core, quant
from compressjax.interpret import lift, observe
from tests import helpers


def fn(p, x):
    y = jax.lax.conv_general_dilated(
        x, p["conv"]["kernel"], (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    return y + p["conv"]["bias"].reshape(1, 1, 1, -1)


@pytest.fixture(scope="module")
def layer():
    params = {"conv": {"kernel": helpers.array(0, (3, 3, 4, 5)), "bias": helpers.array(1, (5,))}}
    x = helpers.array(2, (6, 8, 8, 4)) + 2.0
    return params, x, observe(fn)(params, x)[1], core.compress(params, {"conv/kernel": quant.rtn(2)})


@pytest.mark.parametrize("pairs", [None, {"conv/kernel": "conv/bias"}])
def test_means_of_outputs_are_those_of_the_dense_layer(layer, pairs):
    params, x, stats, small = layer
    want = np.asarray(fn(params, x)).mean((0, 1, 2))
    fixed = quant.bias_correction(params, small, stats, pairs)
    np.testing.assert_allclose(np.asarray(lift(fn)(fixed, x)).mean((0, 1, 2)), want, atol=1e-4)
    assert np.abs(np.asarray(lift(fn)(small, x)).mean((0, 1, 2)) - want).max() > 0.1
    assert fixed["conv"]["kernel"] is small["conv"]["kernel"]


def test_what_does_not_fit_is_named(layer):
    params, _, stats, small = layer
    with pytest.raises(ValueError, match=r"'conv/kernel' has no statistics; observe"):
        quant.bias_correction(params, small, {})
    with pytest.raises(ValueError, match="no compressed kernel has a bias beside it"):
        quant.bias_correction(params, params, stats)
    with pytest.raises(ValueError, match="the tree has no 'conv/b'"):
        quant.bias_correction(params, small, stats, {"conv/kernel": "conv/b"})
    wrong = {"conv": {**params["conv"], "bias": jnp.ones(3)}}
    with pytest.raises(ValueError, match="'conv/bias' has 3 entries, 'conv/kernel' 5 outputs"):
        quant.bias_correction(params, {"conv": {**small["conv"], "bias": wrong["conv"]["bias"]}}, stats)
