"""Importance per bit against counts by NumPy."""

import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import prune, saliency
from compressjax.core import compress


def test_scores_are_importance_over_bits():
    x = np.random.default_rng(0).normal(size=(20, 30)).astype(np.float32)
    h = np.random.default_rng(1).uniform(size=(20, 30)).astype(np.float32)
    step = np.float32(np.abs(x).max() / 7)
    codes = np.rint(x / step).astype(int) + 7
    lengths = -np.log2(np.maximum(np.bincount(codes.ravel(), minlength=15), 0.5) / 600)
    expected = h * x**2 / (1 + np.maximum(lengths[codes] - lengths[7], 0))
    found = saliency.bit_cost(4, importance={"w": h}).score({"w": jnp.asarray(x)})["w"]
    np.testing.assert_allclose(found, expected, rtol=1e-3)
    small = compress({"w": jnp.asarray(x)}, {"w": prune.one_shot(saliency.bit_cost(4), 0.5)})["w"]
    assert np.asarray(small.mask).mean() == 0.5


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="bits=1"):
        saliency.bit_cost(1)
    with pytest.raises(ValueError, match="importance of 'w' has the shape"):
        saliency.bit_cost(importance={"w": np.ones(3)}).score({"w": jnp.ones((2, 2))})
