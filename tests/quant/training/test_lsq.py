"""LSQ against the published rule in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from compressjax import core, quant
from tests import helpers


def published(w, s, g, bits):
    """Values, gradients of the weights, and the scaled gradient of one step size, as in the paper."""
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    v = w.astype(np.float64) / s
    slope = np.where(v <= low, low, np.where(v >= high, high, np.round(v) - v))
    inside = (v > low) & (v < high)
    return np.round(np.clip(v, low, high)) * s, g * inside, (g * slope).sum() / np.sqrt(w.size * high)


@pytest.mark.parametrize("bits", [2, 4])
def test_values_and_gradients_are_the_published_ones(bits):
    w, g = helpers.array(0, (6, 3)), helpers.array(1, (6, 3))
    method = quant.lsq(bits, optimizer=optax.sgd(0.1))
    params = {"kernel": w}
    state = method.init(params)
    start = 2 * np.abs(np.asarray(w)).mean(0) / np.sqrt(2 ** (bits - 1) - 1)
    np.testing.assert_allclose(np.ravel(state.learned["kernel"]), start, rtol=1e-4)
    seen = jax.grad(lambda p: jnp.sum(g * method.view(p, state)["kernel"]))(params)
    received, after = method.before_step(seen, params, state)
    for j, s in enumerate(np.ravel(state.learned["kernel"])):
        values, through, slope = published(np.asarray(w[:, j]), float(s), np.asarray(g[:, j]), bits)
        np.testing.assert_allclose(method.view(params, state)["kernel"][:, j], values, rtol=1e-5)
        np.testing.assert_allclose(received["kernel"][:, j], through, rtol=1e-5)
        np.testing.assert_allclose(np.ravel(after.learned["kernel"])[j], s - 0.1 * slope, rtol=1e-4)


def test_all_four_codes_of_two_bits_are_stored():
    tree = core.compress({"kernel": jnp.array([[-60.0], [-2.0], [0.1], [30.0], [3.0]])}, {".*": quant.lsq(2)})
    assert sorted(set(np.ravel(tree["kernel"].codes).tolist())) == [-2, 0, 1]
    assert tree["kernel"].size_bits() == 5 * 2 + 32


def test_a_step_never_becomes_negative():
    params = {"kernel": jnp.full((4, 2), 3.0)}
    method = quant.lsq(2, granularity="tensor", optimizer=optax.sgd(1e6))
    _, state = method.before_step({"kernel": jnp.ones((4, 2))}, params, method.init(params))
    assert float(state.learned["kernel"].min()) > 0
    assert np.isfinite(method.view(params, state)["kernel"]).all()


def test_refuses_other_grids():
    with pytest.raises(ValueError, match="symmetric one of integers"):
        quant.lsq(quant.grid(4, symmetric=False))
