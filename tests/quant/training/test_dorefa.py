"""DoReFa against the formula in NumPy, and its gradient against finite differences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import quant
from tests import helpers


@pytest.mark.parametrize("bits", [2, 8])
def test_is_the_formula(bits):
    w = helpers.array(0, (5, 4))
    turned = np.tanh(np.asarray(w, np.float64))
    steps = 2**bits - 1
    want = 2 * np.round(steps * (turned / (2 * np.abs(turned).max()) + 0.5)) / steps - 1
    method = quant.dorefa(bits)
    np.testing.assert_allclose(method.view({"kernel": w}, ())["kernel"], want, atol=1e-6)


def test_gradient_passes_through_the_tanh():
    w, g = helpers.array(0, (3, 2)), helpers.array(1, (3, 2))
    method = quant.dorefa(3)
    found = jax.grad(lambda w: jnp.sum(g * method.view({"kernel": w}, ())["kernel"]))(w)

    def smooth(w):
        turned = np.tanh(w)
        return (np.asarray(g, np.float64) * turned / np.abs(turned).max()).sum()

    wide = np.asarray(w, np.float64)
    for at in np.ndindex(*wide.shape):
        step = np.zeros_like(wide)
        step[at] = 1e-5
        np.testing.assert_allclose(found[at], (smooth(wide + step) - smooth(wide - step)) / 2e-5, rtol=1e-3, atol=1e-4)


def test_one_bit_has_the_mean_magnitude():
    method = quant.dorefa(1)
    params = {"kernel": jnp.array([[1.0, -2.0, 3.0]])}
    assert method.view(params, ())["kernel"].tolist() == [[2.0, -2.0, 2.0]]
    assert jax.grad(lambda p: jnp.sum(method.view(p, ())["kernel"] * 3))(params)["kernel"].tolist() == [[3.0, 3.0, 3.0]]
    with pytest.raises(ValueError, match="bits=9"):
        quant.dorefa(9)
