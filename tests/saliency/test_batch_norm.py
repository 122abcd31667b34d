"""Scales, and the kernels before them."""

import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import saliency
from tests import helpers


@pytest.fixture
def params():
    return {"conv": helpers.array(0, (3, 3, 2, 4)), "bn": {"scale": jnp.array([1.0, -2.0, 0.0, 3.0])}}


def test_scales_alone(params):
    scores = saliency.batch_norm().score(params)
    assert {path: s.tolist() for path, s in scores.items()} == {"bn/scale": [1.0, 2.0, 0.0, 3.0]}


def test_kernels_have_the_score_of_their_channel(params):
    scores = saliency.batch_norm({"conv": "bn/scale"}).score(params)["conv"]
    assert scores.shape == (3, 3, 2, 4)
    np.testing.assert_array_equal(scores, np.zeros((3, 3, 2, 1)) + np.array([1.0, 2.0, 0.0, 3.0]))


@pytest.mark.parametrize("follows", [{"conv": "no/scale"}, {"no": "bn/scale"}, {"bn/scale": "conv"}])
def test_what_does_not_follow(params, follows):
    with pytest.raises(ValueError, match="does not end in the channels of"):
        saliency.batch_norm(follows).score(params)


def test_no_scales():
    with pytest.raises(ValueError, match="selects nothing"):
        saliency.batch_norm().score({"w": jnp.ones((2, 2))})
