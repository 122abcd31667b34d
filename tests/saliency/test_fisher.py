"""The diagonal Fisher against gradients of single examples."""

import jax
import numpy as np
import pytest

from compressjax import core, saliency
from tests.saliency.networks import batches, loss, make


def test_is_the_mean_over_examples_whatever_the_batches():
    params, (big, small) = make(), (batches(1, 7)[0], batches(1, 2, seed=3)[0])
    flat = core.values(params)
    want = {path: np.zeros(x.shape) for path, x in flat.items()}
    for x, y in (big, small):
        for i in range(len(x)):
            for path, g in core.values(jax.grad(loss)(params, (x[i : i + 1], y[i : i + 1]))).items():
                want[path] += np.asarray(g, np.float64) ** 2 / 9
    for path, got in saliency.fisher(loss, [big, small]).score(params).items():
        np.testing.assert_allclose(got, want[path] * np.asarray(flat[path]) ** 2 / 2, rtol=1e-4, atol=1e-9)
    with pytest.raises(ValueError, match="batches is empty"):
        saliency.fisher(loss, []).score(params)
