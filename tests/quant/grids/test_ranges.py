"""Ranges of blocks against searches by hand."""

import jax.numpy as jnp
import numpy as np

from compressjax.quant._grid import best_ratio, make_grid, quantize


def grid(bits=8, granularity="channel", symmetric=True, axis=-1, order=None, activation=None, clip="absmax"):
    return make_grid("rtn", bits, granularity, symmetric, axis, order, activation, clip)


def test_clipping_finds_the_least_error():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 2)).astype(np.float32)
    x[0, 0] = 9.0  # one outlier: worth giving up at 3 bits
    g = grid(3, clip="mse")
    ratio = best_ratio("k", jnp.asarray(x), g)
    assert ratio.shape == (1, 2)
    errors = []
    for r in np.linspace(1.0, 0.4, 25, dtype=np.float32):
        scale = r * np.abs(x).max(0) / 3
        errors.append(((np.clip(np.round(x / scale), -3, 3) * scale - x) ** 2).sum(0))
    best = np.linspace(1.0, 0.4, 25)[np.argmin(errors, axis=0)]
    np.testing.assert_allclose(ratio[0], best, atol=0.026)
    node, inside = quantize("k", jnp.asarray(x), g, ratio)
    plain, _ = quantize("k", jnp.asarray(x), g)
    assert np.sum((node.materialize() - x) ** 2) < 0.6 * np.sum((plain.materialize() - x) ** 2)
    assert not inside[0, 0]
