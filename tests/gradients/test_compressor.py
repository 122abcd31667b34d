"""The routes of messages."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from compressjax.gradients._compressor import Codec, count_of, gathered, share_of, two_phases
from tests.gradients.workers import once

HALVES = Codec(lambda x, key: jnp.round(2 * x), lambda parts, size: parts / 2)


@pytest.mark.parametrize("route", [gathered, two_phases])
def test_the_mean_of_what_workers_say_is_the_mean(route, draw):
    """Also where the second message of two rounds again; the size is no multiple of the workers."""
    x = draw.normal(size=(4, 3, 3)).astype(np.float32)
    own, mean = jax.jit(jax.vmap(lambda x: once(route("halves", HALVES, "error"), x, "w"), axis_name="w"))(x)
    np.testing.assert_allclose(own.mean(0), mean[0], atol=1e-6)
    np.testing.assert_array_equal(mean, np.broadcast_to(mean[:1], mean.shape))
    exact = (np.round(2 * x) / 2).mean(0)
    np.testing.assert_allclose(mean[0], exact if route is gathered else np.round(2 * exact) / 2, atol=1e-6)


def test_shares():
    assert count_of(0.01, 10) == 1
    assert count_of(0.5, 7) == 4
    for bad in (0, 1.5, "much", None, float("nan")):
        with pytest.raises(ValueError, match=r"top: share.*\(0, 1\]"):
            share_of("top", bad)
