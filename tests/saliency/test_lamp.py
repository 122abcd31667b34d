"""LAMP by hand and by brute force."""

import jax.numpy as jnp
import numpy as np

from compressjax import saliency
from tests import helpers


def test_by_hand():
    scores = saliency.lamp().score({"w": jnp.array([3.0, -1.0, 2.0])})["w"]
    np.testing.assert_allclose(scores, [1.0, 1 / 14, 4 / 13], rtol=1e-6)


def test_by_brute_force():
    w = helpers.array(0, (7, 5))
    squares = np.asarray(w, np.float64).ravel() ** 2
    want = [s / squares[squares >= s].sum() for s in squares]
    np.testing.assert_allclose(saliency.lamp().score({"w": w})["w"].ravel(), want, rtol=1e-5)


def test_zeros_and_ties():
    assert saliency.lamp().score({"w": jnp.zeros((2, 2))})["w"].tolist() == [[0.0, 0.0], [0.0, 0.0]]
    np.testing.assert_allclose(saliency.lamp().score({"w": jnp.ones(3)})["w"], [1 / 3, 1 / 2, 1], rtol=1e-6)
