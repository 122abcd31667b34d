"""Movement against a NumPy loop of gradient descent on a quadratic."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest

from compressjax import saliency


def test_is_the_sum_along_descent():
    rng = np.random.default_rng(0)
    targets = [rng.normal(size=(3, 2)) for _ in range(5)]
    w = start = rng.normal(size=(3, 2))
    want = np.zeros((3, 2))
    for target in targets:
        g = w - target
        want -= w * g
        w = w - 0.1 * g
    quadratic = lambda p, x: jnp.sum((p["w"] - x) ** 2) / 2  # noqa: E731
    found = saliency.movement(quadratic, [jnp.asarray(t, jnp.float32) for t in targets], optax.sgd(0.1))
    params = {"w": jnp.asarray(start, jnp.float32)}
    np.testing.assert_allclose(found.score(params)["w"], want, rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(params["w"], start.astype(np.float32))


def test_any_optimizer_and_16_bits():
    quadratic = lambda p, x: jnp.sum((p["w"] - x) ** 2)  # noqa: E731
    found = saliency.movement(quadratic, [jnp.bfloat16(1)] * 3, optax.adam(0.1)).score({"w": jnp.ones(2, jnp.bfloat16)})
    assert found["w"].dtype == jnp.float32
    with pytest.raises(ValueError, match="batches is empty"):
        saliency.movement(quadratic, [], optax.sgd(0.1)).score({"w": jnp.ones(2)})
