"""Patterns of shared weights: the closest ones, by NumPy's means, and leaves that do not fit."""

import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import share
from compressjax.core import compress
from compressjax.core._unfit import UnfitError
from compressjax.tensors import Patterned

KERNEL = np.random.default_rng(0).normal(size=(8, 6)).astype(np.float32)


@pytest.mark.parametrize("method", [share.hashed(0.25, seed=3), share.circulant(2), share.toeplitz()])
@pytest.mark.strict
def test_values_are_the_least_squares_solution(method):
    node = compress({"kernel": jnp.asarray(KERNEL)}, {".*": method})["kernel"]
    columns = [
        np.asarray(Patterned(jnp.asarray(e), node.sizes, node.pattern, node.seed).materialize()).ravel()
        for e in np.eye(node.values.size, dtype=np.float32).reshape(-1, *node.values.shape)
    ]
    expected = np.linalg.lstsq(np.array(columns).T, KERNEL.ravel(), rcond=None)[0]
    np.testing.assert_allclose(np.ravel(node.values), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("method", "shape"), [
    (share.circulant(3), (8, 6)), (share.circulant(2), (2, 2, 2)), (share.toeplitz(), (2, 2, 2)),
    (share.toeplitz(), (0, 3)), (share.hashed(0.5), (0, 3)),
])  # fmt: skip
def test_leaves_that_do_not_fit_are_named(method, shape):
    with pytest.raises(UnfitError, match="'w'"):
        method.encode({"w": jnp.zeros(shape)}, ())


@pytest.mark.parametrize("make", [
    lambda: share.hashed(1.0), lambda: share.hashed(0.5, seed=-1), lambda: share.circulant(0),
])  # fmt: skip
def test_settings_out_of_range_are_refused(make):
    with pytest.raises(ValueError, match="must be"):
        make()
