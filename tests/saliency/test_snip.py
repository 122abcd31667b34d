"""SNIP: the mask's own derivative, by finite differences of the mask."""

import jax.numpy as jnp
import numpy as np

from compressjax import core, saliency
from tests.saliency.networks import batches, make, network


def squared(params, batch):
    x, y = batch
    return jnp.mean((network(params, x) - y) ** 2)


def test_is_the_derivative_of_the_mask():
    params, data = make(bias=True), batches(2)
    scores = saliency.snip(squared, data).score(params)
    flat = {path: np.asarray(x, np.float64) for path, x in core.values(params).items()}

    def numpy_loss(flat):
        total = 0.0
        for x, y in data:
            hidden = np.maximum(np.asarray(x, np.float64) @ flat["layer_0/kernel"] + flat["layer_0/bias"], 0)
            out = hidden @ flat["layer_1/kernel"] + flat["layer_1/bias"]
            total += np.mean((out - np.asarray(y)) ** 2) / len(data)
        return total

    step = 1e-6
    for path, x in flat.items():
        slopes = np.zeros(x.shape)
        for i in np.ndindex(*x.shape):
            ends = []
            for sign in (step, -step):
                switch = np.ones(x.shape)
                switch[i] += sign
                ends.append(numpy_loss({**flat, path: switch * x}))
            slopes[i] = abs(ends[0] - ends[1]) / (2 * step)
        np.testing.assert_allclose(scores[path], slopes, rtol=1e-4, atol=1e-6)


def test_gradients_are_averaged_before_their_size_is_taken():
    loss = lambda p, x: jnp.sum(x * p["w"])  # noqa: E731
    scores = saliency.snip(loss, [jnp.array([1.0, 1.0]), jnp.array([-1.0, 3.0])]).score({"w": jnp.array([2.0, 2.0])})
    assert scores["w"].tolist() == [0.0, 4.0]
