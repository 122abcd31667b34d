"""Wanda's scores against the definition, on statistics that `observe` took."""

import jax
import jax.numpy as jnp
import numpy as np

from compressjax import saliency
from compressjax.interpret import observe
from tests import helpers


def test_dense_and_convolution():
    x, w, conv = helpers.array(0, (6, 5, 5, 2)), helpers.array(1, (36, 3)), helpers.array(2, (3, 3, 2, 4))
    params = {"conv": conv, "dense": w}

    def fn(params, x):
        y = jax.lax.conv_general_dilated(x, params["conv"], (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"))
        return jax.nn.relu(y).reshape(6, -1) @ params["dense"]

    _, stats = observe(fn)(params, x)
    scores = saliency.wanda().score(params, stats)
    inputs = np.asarray(x, np.float64)
    for i, j, c in np.ndindex(3, 3, 2):
        norm = np.sqrt(np.sum(inputs[:, i : i + 3, j : j + 3, c] ** 2))
        np.testing.assert_allclose(scores["conv"][i, j, c], np.abs(conv[i, j, c]) * norm, rtol=1e-4)
    hidden = jax.lax.conv_general_dilated(x, conv, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"))
    norms = np.linalg.norm(np.maximum(np.asarray(hidden), 0).reshape(6, -1), axis=0)
    np.testing.assert_allclose(scores["dense"], np.abs(w) * norms[:, None], rtol=1e-4, atol=1e-6)


def test_stacked_layers_have_their_own_norms():
    params = {"layers": helpers.array(0, (3, 4, 4))}

    def fn(params, x):
        return jax.lax.scan(lambda x, w: (jnp.tanh(x @ w), None), x, params["layers"])[0]

    x = helpers.array(1, (5, 4))
    _, stats = observe(fn)(params, x)
    scores = saliency.wanda().score(params, stats)["layers"]
    for layer in range(3):
        want = np.abs(params["layers"][layer]) * np.linalg.norm(np.asarray(x), axis=0)[:, None]
        np.testing.assert_allclose(scores[layer], want, rtol=1e-4)
        x = jnp.tanh(x @ params["layers"][layer])
