"""The gradient's size against finite differences."""

import jax.numpy as jnp
import numpy as np

from compressjax import saliency
from tests.saliency.networks import batches, loss, make, total


def test_is_the_size_of_the_slope():
    params, data = make(), batches(3)
    scores = saliency.gradient(loss, data).score(params)["layer_0/kernel"]
    step = 1e-2
    for i, j in [(0, 0), (1, 3), (3, 4)]:
        moved = []
        for sign in (step, -step):
            kernel = params["layer_0"]["kernel"].at[i, j].add(sign)
            moved.append(float(total({**params, "layer_0": {"kernel": kernel}}, data)))
        np.testing.assert_allclose(scores[i, j], abs(moved[0] - moved[1]) / (2 * step), rtol=1e-2, atol=1e-5)


def test_zero_weights_differ():
    scores = saliency.gradient(lambda p, x: jnp.sum(x @ p["w"]), [jnp.array([[1.0, -2.0]])])
    assert scores.score({"w": jnp.zeros((2, 1))})["w"].tolist() == [[1.0], [2.0]]
