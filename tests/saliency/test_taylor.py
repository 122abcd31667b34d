"""First-order Taylor against jax.grad, batch by batch."""

import jax
import numpy as np

from compressjax import core, saliency
from tests.saliency.networks import batches, loss, make


def test_is_the_mean_of_squares():
    params, data = make(), batches(3)
    flat = core.values(params)
    want = {path: np.zeros(x.shape) for path, x in flat.items()}
    for batch in data:
        for path, g in core.values(jax.grad(loss)(params, batch)).items():
            want[path] += np.asarray(g * flat[path], np.float64) ** 2 / len(data)
    for path, got in saliency.taylor(loss, data).score(params).items():
        np.testing.assert_allclose(got, want[path], rtol=1e-4, atol=1e-9)
