"""Equalization: the same function, and equal ranges on both sides."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import core, quant
from compressjax.interpret import layouts
from tests import helpers

PAIRS = {("conv", "b"): "second", "second": "dense", ("dense", "c"): "out"}


def fn(p, x):
    y = jax.lax.conv_general_dilated(x, p["conv"], (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
    y = jax.nn.relu(y + p["b"].reshape(1, 1, 1, -1))
    y = jax.nn.relu(
        jax.lax.conv_general_dilated(y, p["second"], (2, 2), "SAME", dimension_numbers=("NHWC", "OIHW", "NHWC"))
    )
    y = jax.nn.relu(y.reshape(len(y), -1) @ p["dense"] + p["c"][None])
    return y @ p["out"].T


@pytest.fixture(scope="module")
def network():
    shapes = {"conv": (3, 3, 2, 4), "b": (4,), "second": (6, 4, 3, 3), "dense": (24, 8), "c": (8,), "out": (3, 8)}
    params = {name: helpers.array(i, shape) for i, (name, shape) in enumerate(shapes.items())}
    uneven = jnp.array([100.0, 1.0, 0.01, 1.0])  # the same function as without, but hard to round
    params["conv"] = params["conv"] * uneven.reshape(1, 1, 1, -1)
    params["b"] = params["b"] * uneven
    params["second"] = params["second"] / uneven.reshape(1, -1, 1, 1)
    x = helpers.array(9, (5, 4, 4, 2))
    return params, x, layouts(fn)(params, x)


@pytest.mark.thorough
def test_the_function_is_the_same_and_ranges_are_equal(network):
    params, x, layout = network
    even = quant.equalize(params, PAIRS, layout=layout)
    want = np.asarray(fn(params, x))
    np.testing.assert_allclose(fn(even, x), want, atol=1e-5 * np.abs(want).max())
    np.testing.assert_allclose(jnp.abs(even["conv"]).max((0, 1, 2)), jnp.abs(even["second"]).max((0, 2, 3)), rtol=1e-3)
    np.testing.assert_allclose(
        jnp.abs(even["second"]).max((1, 2, 3)), jnp.abs(even["dense"]).reshape(4, 6, 8).max((0, 2)), rtol=1e-3
    )
    losses = []
    for tree in (even, params):
        small = core.compress(tree, {"conv|second|dense|out": quant.rtn(6, granularity="tensor")}, layout=layout)
        losses.append(np.sum((np.asarray(fn(core.materialize(small), x)) - want) ** 2))
    assert losses[0] < 0.2 * losses[1]


def test_what_does_not_fit_is_named(network):
    params, _, layout = network
    for pairs, message in (
        ({"none": "out"}, "the tree has no 'none'"),
        ({("dense", "b"): "out"}, "'b' of shape .* writes 4 channels, its partner has 8"),
    ):
        with pytest.raises(ValueError, match=f"equalize: {message}"):
            quant.equalize(params, pairs, layout=layout)
    with pytest.raises(ValueError, match="'dense' of shape .* reads 24 channels, its partner has 10"):
        quant.equalize({**params, "odd": jnp.ones((3, 10))}, {"odd": "dense"}, layout=layout)
    small = core.compress(params, {"out": quant.rtn(8)})
    with pytest.raises(ValueError, match="'out' is compressed already"):
        quant.equalize(small, {"dense": "out"})
    with pytest.raises(ValueError, match="iterations=0"):
        quant.equalize(params, PAIRS, iterations=0)


def test_channels_without_weights_keep_their_scale():
    even = quant.equalize({"a": jnp.array([[0.0, 4.0]]), "b": jnp.array([[2.0], [1.0]])}, {"a": "b"})
    assert np.asarray(even["a"]).tolist() == [[0.0, 2.0]]
    assert np.asarray(even["b"]).ravel().tolist() == [2.0, 2.0]
