"""BitNet b1.58 against its formula in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np

import compressjax as cj
from compressjax import quant, tensors
from tests import helpers


def test_products_are_the_published_ones() -> None:
    """Ma et al., equations 1 to 3, and activations by the largest magnitude of a token."""
    w, x = helpers.array(0, (32, 8)), helpers.array(1, (2, 5, 32))
    c, params = quant.bitnet(), {"kernel": w}
    mean = np.abs(w).mean()
    ternary = np.clip(np.round(w / mean), -1, 1) * mean
    step = np.abs(x).max(-1, keepdims=True) / 127
    want = np.round(x / step) * step @ ternary
    state, run = c.init(params), cj.lift(lambda p, x: x @ p["kernel"], on_fallback="raise")
    stored = c.encode(params, state)
    for tree in (c.view(params, state), stored):
        np.testing.assert_allclose(run(tree, x), want, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(run(stored, x), run(c.view(params, state), x), rtol=1e-5, atol=1e-5)
    assert isinstance(stored["kernel"].inner, tensors.Quantized)
    assert "int32" in str(jax.make_jaxpr(run)(stored, x))
    assert stored["kernel"].size_bits() == 2 * w.size + 32


def test_gradients_pass_straight_through() -> None:
    c, params, x = quant.bitnet(), {"kernel": helpers.array(0, (4, 3))}, helpers.array(1, (5, 4))
    state, g = c.init(params), helpers.array(2, (5, 3))

    def loss(params, x):
        return jnp.sum(g * cj.lift(lambda p: x @ p["kernel"])(c.view(params, state)))

    to_params, to_x = jax.grad(loss, (0, 1))(params, x)
    np.testing.assert_allclose(to_x, g @ c.encode(params, state)["kernel"].materialize().T, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(to_params["kernel"], x.T @ g, rtol=0.05, atol=0.05)


def test_a_leaf_of_zeros_stays_zero() -> None:
    c, params = quant.bitnet(), {"kernel": jnp.zeros((4, 3))}
    assert not c.encode(params, c.init(params))["kernel"].materialize().any()
