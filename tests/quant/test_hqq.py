"""HQQ against the published loop in float64, and its norm of the error below that of round to nearest."""

import jax.numpy as jnp
import numpy as np
import pytest

from compressjax import core, quant
from tests import helpers

W = np.asarray(helpers.array(0, (16, 6))) * np.where(np.random.default_rng(1).random((16, 6)) < 0.1, 8.0, 1.0)


def published(w, bits, p=0.7, beta=10.0, kappa=1.01, iterations=20):
    """One block per column: shrink the error, then the mean zero point; the best of all iterations."""
    low, high = np.minimum(w.min(0), 0), np.maximum(w.max(0), 0)
    s = (high - low) / (2**bits - 1)
    z = np.round(-low / s)
    found = [z]
    for i in range(iterations):
        q = np.clip(np.round(w / s + z), 0, 2**bits - 1)
        d = w - s * (q - z)
        e = np.sign(d) * np.maximum(np.abs(d) - np.abs(d) ** (p - 1) / (beta * kappa**i), 0)
        z = np.mean(q - (w - e) / s, axis=0)
        found.append(z)
    costs = [np.sum(np.abs(w - s * (np.clip(np.round(w / s + z), 0, 2**bits - 1) - z)) ** p, axis=0) for z in found]
    return s, np.take_along_axis(np.stack(found), np.argmin(costs, axis=0)[None], axis=0)[0], np.min(costs, axis=0)


@pytest.mark.parametrize("bits", [3, 4])
def test_is_the_published_loop(bits):
    node = core.compress({"w": jnp.asarray(W, jnp.float32)}, {"w": quant.hqq(bits, granularity="channel")})["w"]
    s, z, costs = published(W.astype(np.float64), bits)
    np.testing.assert_allclose(np.asarray(node.scale)[0], s, rtol=1e-4)
    np.testing.assert_allclose(np.asarray(node.zero_point)[0], z, atol=2e-3)
    got = np.sum(np.abs(np.asarray(node.materialize(), np.float64) - W) ** 0.7, axis=0)
    np.testing.assert_allclose(got, costs, rtol=1e-2)
    plain = core.compress({"w": jnp.asarray(W, jnp.float32)}, {"w": quant.rtn(bits, symmetric=False)})["w"]
    assert got.sum() < 0.99 * np.sum(np.abs(np.asarray(plain.materialize(), np.float64) - W) ** 0.7)


def test_blocks_of_zeros_stay_zero():
    w = jnp.asarray(W, jnp.float32).at[:, 2].set(0.0)
    node = core.compress({"w": w}, {"w": quant.hqq(4, granularity=8)})["w"]
    assert node.zero_point.shape == (2, 6)
    assert not np.asarray(node.materialize())[:, 2].any()


def test_bad_settings():
    for settings in ({"p": 0.0}, {"beta": 0}, {"kappa": 0.5}, {"iterations": 0}):
        with pytest.raises(ValueError, match=f"hqq: {next(iter(settings))}="):
            quant.hqq(4, **settings)
    for grid in (quant.grid(4), quant.grid(8, symmetric=False, activation="dynamic")):
        with pytest.raises(ValueError, match="hqq: the grid must be affine"):
            quant.hqq(grid)
