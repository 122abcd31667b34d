"""Kernels divided by their largest singular values, against NumPy's decomposition."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import core, generate
from tests import helpers

PARAMS = {
    "dense": {"kernel": helpers.array(0, (6, 4))},
    "conv": {"kernel": helpers.array(1, (3, 3, 2, 5))},
    "bias": helpers.array(2, (4,)),
}


def test_every_kernel_gets_the_norm_one():
    state = generate.init_spectral_norm(PARAMS, jax.random.key(0))
    assert set(state.vectors) == {"dense/kernel", "conv/kernel"}
    normed, after = generate.spectral_norm(PARAMS, state, steps=60)
    for path, x in core.values(normed).items():
        if path == "bias":
            np.testing.assert_array_equal(x, PARAMS["bias"])
            continue
        matrix = np.asarray(x).reshape(-1, x.shape[-1])
        assert np.linalg.svd(matrix, compute_uv=False)[0] == pytest.approx(1.0, abs=1e-4)
        np.testing.assert_allclose(np.linalg.norm(after.vectors[path]), 1, rtol=1e-5)
    # The next call starts from these vectors: one step changes nothing.
    again, _ = generate.spectral_norm(PARAMS, after)
    np.testing.assert_allclose(again["dense"]["kernel"], normed["dense"]["kernel"], rtol=1e-4)


def test_the_gradient_is_that_of_the_quotient():
    """dL/dW = (dL/dW_hat - <dL/dW_hat, W_hat> u v^T) / sigma, equation (12) of the paper."""
    weights = {"kernel": helpers.array(3, (5, 3))}
    _, state = generate.spectral_norm(weights, generate.init_spectral_norm(weights, jax.random.key(0)), steps=200)
    outer = helpers.array(4, (5, 3))
    got = jax.grad(lambda p: jnp.sum(outer * generate.spectral_norm(p, state)[0]["kernel"]))(weights)["kernel"]
    u, s, vt = np.linalg.svd(np.asarray(weights["kernel"], np.float64))
    hat = np.asarray(weights["kernel"]) / s[0]
    exact = (np.asarray(outer) - np.sum(np.asarray(outer) * hat) * np.outer(u[:, 0], vt[0])) / s[0]
    np.testing.assert_allclose(got, exact, rtol=1e-3, atol=1e-4)


def test_a_kernel_of_zeros_stays_and_recovers():
    zeros = {"kernel": jnp.zeros((4, 4))}
    state = generate.init_spectral_norm(zeros, jax.random.key(0))
    normed, state = generate.spectral_norm(zeros, state, steps=3)
    np.testing.assert_array_equal(normed["kernel"], 0.0)
    slope = jax.grad(lambda p: jnp.sum(generate.spectral_norm(p, state)[0]["kernel"]))(zeros)["kernel"]
    np.testing.assert_array_equal(slope, 1.0)
    normed, _ = generate.spectral_norm({"kernel": 3 * jnp.eye(4)}, state, steps=3)
    np.testing.assert_allclose(normed["kernel"], jnp.eye(4), rtol=1e-4, atol=1e-6)


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="'.*gamma' selects nothing"):
        generate.init_spectral_norm(PARAMS, jax.random.key(0), ".*gamma")
    with pytest.raises(ValueError, match="steps=0"):
        generate.spectral_norm(PARAMS, generate.init_spectral_norm(PARAMS, jax.random.key(0)), steps=0)
