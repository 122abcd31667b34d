"""Product quantization: its error against scikit-learn's clusters, weights of inputs, and leaves that do not fit."""

import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.cluster import KMeans

from compressjax import share
from compressjax.core import compress
from compressjax.core._unfit import UnfitError
from compressjax.interpret.observing._statistics import of_rows

DRAW = np.random.default_rng(0)
KERNEL = DRAW.normal(size=(8, 40)).astype(np.float32)
INPUTS = (DRAW.normal(size=(60, 8)) * [4, 4, 0.1, 0.1, 3, 0.1, 0.1, 3]).astype(np.float32)


def error(node):
    return np.square(INPUTS @ (np.asarray(node.materialize()) - KERNEL)).sum()


def test_unweighted_vectors_cluster_as_well_as_scikit_learn():
    node = compress({"kernel": jnp.asarray(KERNEL)}, {".*": share.pq(16, 2, weighted=False)})["kernel"]
    vectors = KERNEL.reshape(4, 2, 40).transpose(0, 2, 1).reshape(-1, 2)
    start = vectors[np.argsort(vectors.sum(1), kind="stable")][((np.arange(16) + 0.5) / 16 * 160).astype(int)]
    fitted = KMeans(16, init=start, n_init=1, max_iter=25, tol=0).fit(vectors)
    inertia = np.square(np.asarray(node.materialize()) - KERNEL).sum()
    assert inertia <= 1.02 * fitted.inertia_
    assert node.size_bits() == 160 * 4 + 32 * 32


def test_weights_of_inputs_lower_the_error_of_results():
    stats = {"kernel": of_rows(jnp.asarray(INPUTS), gram=True)}
    params = {"kernel": jnp.asarray(KERNEL)}
    plain = compress(params, {".*": share.pq(16, 2, weighted=False)})["kernel"]
    aware = compress(params, {".*": share.pq(16, 2)}, stats)["kernel"]
    assert error(aware) < 0.7 * error(plain)
    # No step of either half can lower the error of a place by itself: codes are the best for their table.
    moment, table = np.asarray(stats["kernel"].second_moment), np.asarray(aware.centroids)[0]
    for place in range(4):
        part = slice(2 * place, 2 * place + 2)
        away = KERNEL[part].T[:, None] - table
        costs = np.einsum("okd,de,oke->ok", away, moment[part, part], away)
        chosen = costs[np.arange(40), np.asarray(aware.codes)[place]]
        np.testing.assert_allclose(chosen, costs.min(1), rtol=1e-3, atol=1e-4)


def test_leaves_that_do_not_fit_are_named():
    for shape in ((8, 1), (7, 40), (0, 4)):
        with pytest.raises(UnfitError, match="no 16 vectors of 2 inputs"):
            share.pq(16, 2, weighted=False).encode({"w": jnp.zeros(shape)}, ())
    with pytest.raises(ValueError, match="Gram matrix"):
        share.pq(16, 2).encode({"w": jnp.asarray(KERNEL)}, ())


@pytest.mark.parametrize("setting", [{"clusters": 1}, {"length": 0}, {"iterations": 0}, {"tables": "mine"}])
def test_settings_out_of_range_are_refused(setting):
    with pytest.raises(ValueError, match="must be"):
        share.pq(**setting)
