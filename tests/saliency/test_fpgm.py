"""FPGM by brute force over pairs of filters."""

import jax.numpy as jnp
import numpy as np

from compressjax import saliency
from tests import helpers


def test_by_brute_force():
    w = helpers.array(0, (3, 3, 2, 5))
    scores = saliency.fpgm().score({"w": w, "b": jnp.ones(5)})
    assert set(scores) == {"w"}
    filters = np.asarray(w, np.float64)
    for j in range(5):
        want = sum(np.linalg.norm(filters[..., j] - filters[..., k]) for k in range(5))
        np.testing.assert_allclose(scores["w"][..., j], np.full((3, 3, 2), want), rtol=1e-5)


def test_the_median_goes_first_however_large():
    w = jnp.array([[10.0, 9.0, 11.0]])
    assert int(jnp.argmin(saliency.fpgm().score({"w": w})["w"])) == 0
