"""Activation norms do not see the weights."""

import numpy as np

from compressjax import saliency
from compressjax.interpret import observe
from tests import helpers


def test_is_the_norm_of_the_input():
    x, w = helpers.array(0, (6, 5)), helpers.array(1, (5, 3))
    _, stats = observe(lambda p, x: x @ p["w"])({"w": w}, x)
    scores = saliency.activation().score({"w": w, "b": w[0]}, stats)
    assert set(scores) == {"w"}
    want = np.repeat(np.linalg.norm(np.asarray(x), axis=0)[:, None], 3, axis=1)
    np.testing.assert_allclose(scores["w"], want, rtol=1e-5)
