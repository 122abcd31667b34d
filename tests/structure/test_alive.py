"""Dead units: found, cut without loss, and refused where they still act."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import interpret, structure
from compressjax.structure._alive import alive
from tests.interpret import cutting
from tests.interpret.narrowing.test_narrow import IMAGES, linen

P = cutting.filled({"a": jnp.ones((4, 6)), "bias": jnp.ones(6), "b": jnp.ones((6, 3))})
X = cutting.filled(jnp.ones((5, 4)), 1)


def mlp(p, x):
    return jnp.tanh(x @ p["a"] + p["bias"][None]) @ p["b"]


def test_units_with_a_zero_column_or_zero_rows_are_dead():
    groups = [g for g in interpret.couplings(mlp)(P, X) if not g.frozen]
    p = {**P, "a": P["a"].at[:, 1].set(0), "b": P["b"].at[4].set(0)}
    assert alive(groups, p) == {"a:1": [0, 2, 3, 5]}
    assert alive(groups, P) == {}
    assert alive(groups, {**P, "a": 0 * P["a"]}) == {"a:1": [0]}


def test_nothing_is_lost():
    p = {**P, "a": P["a"].at[:, 1].set(0), "bias": P["bias"].at[1].set(0), "b": P["b"].at[4].set(0)}
    small = structure.shrink(mlp, p, X, keep="alive")
    assert small.params["a"].shape == (4, 4)
    assert small.error <= 1e-6
    np.testing.assert_allclose(small.fn(small.params, X), mlp(p, X), rtol=1e-5, atol=1e-6)


def test_a_bias_that_still_acts_is_found_out():
    with pytest.raises(ValueError, match="still have an effect"):
        structure.shrink(mlp, {**P, "a": P["a"].at[:, 1].set(0)}, X, keep="alive")


@pytest.mark.thorough
def test_channels_of_a_residual_network():
    fn, params, x = linen(cutting.ResNet(), IMAGES)
    block = params["params"]["Block_0"]
    block["Conv_1"]["kernel"] = block["Conv_1"]["kernel"].at[:, :, jnp.array([0, 3])].set(0)
    small = structure.shrink(fn, params, x, keep="alive")
    assert small.kept == {"params/Block_0/Conv_0/kernel:3": [1, 2, 4, 5]}
    np.testing.assert_allclose(jax.jit(small.fn)(small.params, x), jax.jit(fn)(params, x), rtol=1e-4, atol=1e-4)


def test_a_living_network_stays():
    small = structure.shrink(mlp, P, X, keep="alive")
    assert small.kept == {}
    assert small.native
    with pytest.raises(ValueError, match="keep='dead'"):
        structure.shrink(mlp, P, X, keep="dead")
