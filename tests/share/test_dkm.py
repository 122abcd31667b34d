"""Differentiable k-means against the equations in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import share

KERNEL = np.random.default_rng(0).normal(size=(6, 5)).astype(np.float32)


def soft(x, centroids, temperature, iterations):
    flat = x.astype(np.float64).ravel()

    def attention(centroids):
        scores = -((flat[:, None] - centroids) ** 2) / (temperature * flat.var())
        weights = np.exp(scores - scores.max(1, keepdims=True))
        return weights / weights.sum(1, keepdims=True)

    for _ in range(iterations):
        weights = attention(centroids)
        centroids = flat @ weights / weights.sum(0)
    return attention(centroids) @ centroids, centroids


def test_the_view_is_stored_and_its_gradient_is_that_of_soft_weights():
    method = share.dkm(3, temperature=0.05, iterations=2)
    params = {"kernel": jnp.asarray(KERNEL)}
    state = method.init(params)
    start = np.asarray(state.centroids["kernel"], np.float64)
    slope = np.random.default_rng(1).normal(size=(6, 5))

    def loss(params):
        view = method.view(params, state)["kernel"]
        return jnp.sum(view * slope), view

    (_, view), grads = jax.jit(jax.value_and_grad(loss, has_aux=True))(params)
    node = method.encode(params, state)["kernel"]
    assert np.array_equal(view, node.materialize())
    _, centroids = soft(KERNEL, start, 0.05, 2)
    np.testing.assert_allclose(node.centroids, np.sort(centroids), rtol=1e-4)
    expected = np.zeros(30)
    for i in range(30):
        step = np.zeros(30)
        step[i] = 1e-4
        step = step.reshape(6, 5)
        ends = [(soft_at(KERNEL + sign * step, start) * slope.ravel()).sum() for sign in (1, -1)]
        expected[i] = (ends[0] - ends[1]) / 2e-4
    np.testing.assert_allclose(np.ravel(grads["kernel"]), expected, rtol=0.02, atol=0.02)


def soft_at(x, start):
    return soft(x.astype(np.float64), start, 0.05, 2)[0]


@pytest.mark.parametrize("setting", [{"clusters": 1}, {"temperature": 0.0}, {"iterations": 0}])
def test_settings_out_of_range_are_refused(setting):
    with pytest.raises(ValueError, match="must be"):
        share.dkm(**setting)
