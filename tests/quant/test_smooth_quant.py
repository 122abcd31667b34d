"""SmoothQuant: the scale by its formula, the same output before rounding, and less error where inputs have outliers."""

import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import core, interpret, quant, tensors
from compressjax.interpret import observe
from compressjax.interpret.observing._statistics import of_rows
from tests import helpers


def apply(params, x):
    """One dense layer."""
    return x @ params["kernel"]


@pytest.fixture(scope="module")
def layer():
    """A layer whose inputs have outliers in two channels, and one that is always zero."""
    x = np.asarray(helpers.array(0, (64, 16))) * np.where(np.arange(16) % 8 == 3, 60.0, 1.0)
    x[:, 5] = 0.0
    params = {"kernel": helpers.array(1, (16, 8))}
    return params, jnp.asarray(x, jnp.float32), observe(apply)(params, jnp.asarray(x, jnp.float32))[1]


@pytest.mark.parametrize("alpha", [0.0, 0.5, 0.8])
def test_the_scale_is_the_formula_and_changes_no_output(layer, alpha):
    params, x, stats = layer
    node = core.compress(params, {".*": quant.smooth_quant(alpha)}, stats)["kernel"]
    assert isinstance(node, tensors.Scaled)
    w, rows = np.asarray(params["kernel"], np.float64), np.asarray(x, np.float64)
    s = np.abs(rows).max(0) ** alpha / np.abs(w).max(1) ** (1 - alpha)
    s[5] = 1.0
    np.testing.assert_allclose(1 / np.asarray(node.scale)[:, 0], s, rtol=1e-5)
    unrounded = tensors.Scaled(params["kernel"] / node.scale, node.scale)
    got = interpret.lift(apply)({"kernel": unrounded}, x)
    np.testing.assert_allclose(got, rows @ w, atol=1e-5 * np.abs(rows @ w).max())


@pytest.mark.parametrize("activation", ["dynamic", "static"])
def test_outliers_cost_less_than_in_round_to_nearest(layer, activation):
    params, x, stats = layer
    want, errors = np.asarray(apply(params, x)), []
    for method in (quant.smooth_quant(activation=activation), quant.rtn(8, activation=activation)):
        small = core.compress(params, {".*": method}, stats)
        rows = interpret.explain(apply)(small, x)
        assert [row.status for row in rows] == ["native"]
        errors.append(np.sum((np.asarray(interpret.lift(apply)(small, x)) - want) ** 2))
    assert errors[0] < 0.5 * errors[1]


def test_static_activations_are_those_of_scaled_inputs(layer):
    params, x, stats = layer
    node = core.compress(params, {".*": quant.smooth_quant(activation="static")}, stats)["kernel"]
    largest = np.abs(np.asarray(x) * np.asarray(node.scale)[:, 0]).max()
    assert float(node.inner.activation_scale) == pytest.approx(largest / 127, rel=1e-5)


def test_bad_settings_and_data(layer):
    params, x, _ = layer
    with pytest.raises(ValueError, match=r"smooth_quant: alpha=1\.5 must be between 0 and 1"):
        quant.smooth_quant(1.5)
    with pytest.raises(ValueError, match="smooth_quant.*absent for .'kernel'.; run observe"):
        core.compress(params, {".*": quant.smooth_quant()})
    with pytest.raises(ValueError, match="non-finite sums"):
        core.compress(params, {".*": quant.smooth_quant()}, {"kernel": of_rows(x * jnp.nan, gram=False)})
    ready = quant.smooth_quant(0.5, quant.grid(8, granularity="tensor"))
    assert "int8, granularity=tensor" in ready.name
