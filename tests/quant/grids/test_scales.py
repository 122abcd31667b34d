"""Scales against arithmetic in NumPy float64, and the promises that follow from short scales."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compressjax.quant._grid import best_ratio, block_shape, fit, make_grid, quantize, round_codes


def grid(bits=8, granularity="channel", symmetric=True, axis=-1, order=None, activation=None, clip="absmax"):
    return make_grid("rtn", bits, granularity, symmetric, axis, order, activation, clip)


@given(st.integers(0, 10**6), st.integers(2, 8), st.booleans(), st.sampled_from(["channel", "tensor", 4]))
def test_codes_and_scales_by_numpy(seed, bits, symmetric, granularity):
    x = np.random.default_rng(seed).normal(size=(8, 3)) * np.array([1.0, 1e-3, 30.0])
    x = x.astype(np.float32)
    g = grid(bits, granularity, symmetric)
    blocks = block_shape("k", x.shape, g)
    scale, zero = (None if y is None else np.asarray(y) for y in fit(jnp.asarray(x), blocks, g))
    codes, inside = round_codes(jnp.asarray(x), jnp.asarray(scale), None if zero is None else jnp.asarray(zero), g)
    tiles = x.astype(np.float64).reshape(blocks[0], 8 // blocks[0], blocks[1], 3 // blocks[1])

    def spread(s):
        return np.broadcast_to(s[:, None, :, None], tiles.shape).reshape(x.shape)

    if symmetric:
        want = np.abs(tiles).max((1, 3)) / (2 ** (bits - 1) - 1)
        exact = np.round(x / spread(scale).astype(np.float64))
        limits = (-(2 ** (bits - 1) - 1), 2 ** (bits - 1) - 1)
    else:
        low, high = np.minimum(tiles.min((1, 3)), 0), np.maximum(tiles.max((1, 3)), 0)
        want = (high - low) / (2**bits - 1)
        np.testing.assert_array_equal(zero, np.round(-low / scale))
        exact = np.round(x / spread(scale).astype(np.float64)) + spread(zero)
        limits = (0, 2**bits - 1)
    np.testing.assert_allclose(scale, want, rtol=2**-16)
    np.testing.assert_array_equal(codes, np.clip(exact, *limits))
    assert codes.dtype == (jnp.int8 if symmetric else jnp.uint8)
    if symmetric:
        assert np.all(inside)
        assert np.abs(codes).max() == limits[1]


@given(st.integers(0, 10**6), st.integers(2, 8), st.booleans())
def test_products_of_scale_and_code_are_exact(seed, bits, symmetric):
    x = jnp.asarray(np.random.default_rng(seed).normal(size=(8, 3)), jnp.float32)
    node, _ = quantize("k", x, grid(bits, "channel", symmetric))
    zero = 0 if symmetric else np.asarray(node.zero_point)
    exact = (np.asarray(node.dense_codes(), np.float64) - zero) * np.asarray(node.scale, np.float64)
    np.testing.assert_array_equal(np.asarray(node.materialize(), np.float64), exact)


@given(st.integers(0, 10**6), st.integers(2, 8), st.sampled_from(["channel", "tensor", 4]))
def test_symmetric_rounding_is_a_projection(seed, bits, granularity):
    x = jnp.asarray(np.random.default_rng(seed).normal(size=(8, 3)), jnp.float32)
    for clip in ("absmax", "mse"):
        g = grid(bits, granularity, clip=clip)
        once, _ = quantize("k", x, g, best_ratio("k", x, g) if clip == "mse" else None)
        y = once.materialize()
        again, _ = quantize("k", y, g, best_ratio("k", y, g) if clip == "mse" else None)
        np.testing.assert_array_equal(again.materialize(), y)


@pytest.mark.parametrize("symmetric", [True, False])
def test_zeros_stay_zero_and_empty_blocks_have_scale_one(symmetric):
    x = jnp.array([[0.0, 0.3, 0.0], [0.0, 0.0, -2.0], [0.0, 5.0, 1.0]])
    for granularity in ("channel", "tensor"):
        node, _ = quantize("k", x, grid(3, granularity, symmetric))
        assert not np.any(np.asarray(node.materialize())[np.asarray(x) == 0])
    node, _ = quantize("k", x, grid(3, "channel", symmetric))
    assert node.scale[0, 0] == 1.0
    np.testing.assert_array_equal(quantize("k", jnp.full((2, 2), 1e-35), grid())[0].materialize(), 0.0)
