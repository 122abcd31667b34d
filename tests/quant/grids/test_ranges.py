"""Ranges of blocks against searches by hand."""

import jax.numpy as jnp
import numpy as np
import pytest

from compressjax.quant._grid import best_ratio, make_grid, quantize
from compressjax.quant.grids._ranges import ranges


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


W = np.random.default_rng(3).standard_t(3, size=(400, 3)).astype(np.float32)


def kept(clip, bits=4, w=W):
    ratio = best_ratio("k", jnp.asarray(w), make_grid("rtn", bits, clip=clip, axis=-1))
    return np.asarray(ratio)[0] * np.abs(w).max(0)


def test_percentiles():
    for percent in (50.0, 90.0, 99.9, 100.0):
        want = np.percentile(np.abs(W), percent, axis=0, method="inverted_cdf")
        np.testing.assert_allclose(kept(("percentile", percent)), want, rtol=1e-5)


def test_octav_is_the_minimum_of_its_noise():
    for bits in (2, 4, 6):
        magnitudes = np.abs(W.astype(np.float64))
        grid = np.linspace(0.05, 1.0, 4000)[:, None] * magnitudes.max(0)
        above = magnitudes[None] > grid[:, None]
        noise = (grid**2 * 4.0**-bits / 3 * (~above).mean(1)) + (
            np.where(above, magnitudes[None] - grid[:, None], 0) ** 2
        ).mean(1)
        got = kept("octav", bits)
        place = [np.abs(grid[:, i] - got[i]).argmin() for i in range(3)]
        # Where an entry crosses the cut the noise jumps, so compare noise and not places.
        assert np.all(noise[place, range(3)] <= 1.03 * noise.min(0))


def divergence(histogram, cut, levels):
    p = histogram[:cut].astype(float)
    p[-1] += histogram[cut:].sum()
    level = np.minimum(np.arange(cut) * levels // cut, levels - 1)
    q = np.zeros(cut)
    for i in range(levels):
        held = (level == i) & (p > 0)
        if held.any():
            q[held] = histogram[:cut][level == i].sum() / held.sum()
    p, q = p / p.sum(), q / q.sum()
    return float(np.sum(p[p > 0] * np.log(p[p > 0] / np.maximum(q[p > 0], 1e-6))))


def test_entropy_by_hand():
    for column, got in enumerate(kept("kl", 5)):
        magnitudes = np.abs(W[:, column])
        histogram, edges = np.histogram(magnitudes, bins=512, range=(0, magnitudes.max()))
        cuts = np.unique(np.round(np.linspace(16, 512, 65)).astype(int))
        losses = [divergence(histogram, cut, 16) for cut in cuts]
        assert losses[np.abs(edges[cuts] - got).argmin()] <= min(losses) + 1e-3
    assert np.any(kept("kl", 5) < np.abs(W).max(0))


@pytest.mark.thorough
def test_ranges_of_a_histogram():
    magnitudes, counts = np.unique(np.round(np.abs(W[:, 0]), 1), return_counts=True)
    entries = np.repeat(magnitudes, counts)
    for clip in ("absmax", ("percentile", 90.0), "octav", "kl"):
        whole = ranges("k", jnp.asarray(entries), jnp.ones(entries.shape), clip, 4)
        np.testing.assert_allclose(ranges("k", jnp.asarray(magnitudes), jnp.asarray(counts), clip, 4), whole, rtol=1e-5)
    with pytest.raises(ValueError, match="ranges: 'a/kernel' has observed zeros, so it has no range"):
        ranges("a/kernel", jnp.zeros(4), jnp.ones(4), "octav")
    with pytest.raises(ValueError, match="ranges: 'a/kernel' has observed nothing"):
        ranges("a/kernel", jnp.ones(4), jnp.zeros(4), "kl")


def test_blocks_of_zeros_keep_their_range():
    w = np.concatenate([W, np.zeros((400, 1), np.float32)], axis=1)
    for clip in ("percentile", "octav", "kl"):
        assert float(best_ratio("k", jnp.asarray(w), make_grid("rtn", 8, clip=clip, axis=-1))[0, 3]) == 1.0
