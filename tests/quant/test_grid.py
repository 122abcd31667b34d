"""The grid against arithmetic in NumPy float64, and the promises that follow from short scales."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compressjax.quant._grid import (
    activation_scale,
    best_ratio,
    block_shape,
    check_range,
    fit,
    make_grid,
    quantize,
    round_codes,
)


def grid(bits=8, granularity="channel", symmetric=True, axis=-1, order=None, activation=None, clip="absmax"):
    return make_grid("rtn", bits, granularity, symmetric, axis, order, activation, clip)


def test_blocks():
    assert block_shape("k", (64, 10), grid()) == (1, 10)
    assert block_shape("k", (64, 10), grid(granularity="tensor")) == (1, 1)
    assert block_shape("k", (64, 10), grid(granularity=16)) == (4, 10)
    assert block_shape("k", (3, 3, 64, 10), grid(granularity=16)) == (1, 1, 4, 10)
    assert block_shape("k", (3, 3, 64, 10), grid()) == (1, 1, 1, 10)
    assert block_shape("k", (64, 10), grid(axis=0)) == (64, 1)
    assert block_shape("k", (64, 10), grid(axis=0, granularity=5)) == (64, 2)
    assert block_shape("k", (6, 64, 10), grid(axis=(0, -1))) == (6, 1, 10)
    assert block_shape("k", (16,), grid(granularity="tensor")) == (1,)


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


@given(st.integers(0, 10**6), st.integers(2, 8), st.sampled_from(["channel", "tensor", 4]))
def test_errors_are_at_most_half_a_step(seed, bits, granularity):
    x = jnp.asarray(np.random.default_rng(seed).normal(size=(8, 3)), jnp.float32)
    for symmetric in (True, False):
        node, _ = quantize("k", x, grid(bits, granularity, symmetric))
        step = np.repeat(node.scale, 8 // node.scale.shape[0], axis=0)
        # With a zero point both ends may round outwards by half a step, and are clipped.
        slack = 0.5 if symmetric else 1.0
        assert np.all(np.abs(node.materialize() - x) <= step * (slack + 1e-3))


@given(st.integers(0, 10**6), st.integers(2, 8), st.sampled_from(["channel", "tensor", 4]))
def test_symmetric_rounding_is_a_projection(seed, bits, granularity):
    x = jnp.asarray(np.random.default_rng(seed).normal(size=(8, 3)), jnp.float32)
    for clip in ("absmax", "mse"):
        g = grid(bits, granularity, clip=clip)
        once, _ = quantize("k", x, g, best_ratio("k", x, g) if clip == "mse" else None)
        y = once.materialize()
        again, _ = quantize("k", y, g, best_ratio("k", y, g) if clip == "mse" else None)
        np.testing.assert_array_equal(again.materialize(), y)


@given(st.integers(0, 10**6), st.integers(2, 8), st.booleans())
def test_products_of_scale_and_code_are_exact(seed, bits, symmetric):
    x = jnp.asarray(np.random.default_rng(seed).normal(size=(8, 3)), jnp.float32)
    node, _ = quantize("k", x, grid(bits, "channel", symmetric))
    zero = 0 if symmetric else np.asarray(node.zero_point)
    exact = (np.asarray(node.dense_codes(), np.float64) - zero) * np.asarray(node.scale, np.float64)
    np.testing.assert_array_equal(np.asarray(node.materialize(), np.float64), exact)


@pytest.mark.parametrize("symmetric", [True, False])
def test_zeros_stay_zero_and_empty_blocks_have_scale_one(symmetric):
    x = jnp.array([[0.0, 0.3, 0.0], [0.0, 0.0, -2.0], [0.0, 5.0, 1.0]])
    for granularity in ("channel", "tensor"):
        node, _ = quantize("k", x, grid(3, granularity, symmetric))
        assert not np.any(np.asarray(node.materialize())[np.asarray(x) == 0])
    node, _ = quantize("k", x, grid(3, "channel", symmetric))
    assert node.scale[0, 0] == 1.0
    np.testing.assert_array_equal(quantize("k", jnp.full((2, 2), 1e-35), grid())[0].materialize(), 0.0)


def test_the_stored_order():
    x = jnp.arange(6.0).reshape(2, 3)
    for axis, granularity, shape in ((-1, "channel", (3, 2)), (-1, "tensor", (3, 2)), (0, "channel", (2, 3))):
        node, _ = quantize("k", x, grid(axis=axis, granularity=granularity))
        assert node.codes.shape == shape
        assert node.shape == (2, 3)
    assert quantize("k", x, grid(order=()))[0].codes.shape == (2, 3)
    assert quantize("k", jnp.ones((3, 3, 2, 4)), grid())[0].codes.shape == (3, 3, 2, 4)


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


def test_the_compiler_changes_nothing(key):
    x = jax.random.normal(key, (64, 24))
    for bits, symmetric, granularity in ((2, False, "channel"), (5, True, 8), (8, True, "channel"), (8, False, 8)):
        g = grid(bits, granularity, symmetric)
        # The ratio is a constant to the compiler, which likes to fold constants into one another.
        ratio = jnp.full((1, 1), 0.7)
        eager = quantize("k", x, g, ratio)[0].materialize()
        compiled = jax.jit(lambda x, g=g, ratio=ratio: quantize("k", x, g, ratio)[0].materialize())(x)
        assert np.asarray(eager).tobytes() == np.asarray(compiled).tobytes()


def test_activation_scale():
    assert float(activation_scale(jnp.array(12.7))) == pytest.approx(0.1)
    assert float(activation_scale(jnp.array(0.0))) == 1.0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"bits": 1}, "bits=1 must be an integer from 2 to 8"),
        ({"bits": 9}, "bits=9"),
        ({"bits": 4.0}, "bits is a float 4.0; it must be an integer"),
        ({"granularity": "row"}, "granularity='row'"),
        ({"granularity": 0}, "granularity=0"),
        ({"activation": "int8"}, "activation='int8'"),
        ({"clip": "max"}, "clip='max'"),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        grid(**settings)


def test_bad_leaves():
    with pytest.raises(ValueError, match="'a/kernel': group size 16 does not divide the 60 inputs of axis 0"):
        block_shape("a/kernel", (60, 4), grid(granularity=16))
    with pytest.raises(ValueError, match=r"fallback='divisor' \(groups of 15\) or fallback='channel'"):
        block_shape("a/kernel", (60, 4), grid(granularity=16))
    with pytest.raises(ValueError, match=r"'bias': shape \(60,\) would get a scale for every entry"):
        block_shape("bias", (60,), grid())
    with pytest.raises(ValueError, match="no axis"):
        block_shape("bias", (60,), grid(axis=1))
    with pytest.raises(ValueError, match="'kernel' has 2 non-finite weights of 4"):
        quantize("kernel", jnp.array([[1.0, jnp.nan], [jnp.inf, 0.0]]), grid())
    with pytest.raises(ValueError, match="'kernel' has 1 non-finite scales of 1; its range overflows float32"):
        quantize("kernel", jnp.array([[3e38], [-3e38]]), grid(symmetric=False))


def test_zeros_are_a_grid_and_unseen_activations_are_none():
    node, _ = quantize("kernel", jnp.zeros((3, 2)), grid())
    assert node.scale.tolist() == [[1.0, 1.0]]
    assert not node.codes.any()
    check_range("rtn", "kernel", jnp.array(0.5))
    for absmax in (0.0, jnp.nan, jnp.inf):
        with pytest.raises(ValueError, match=r"rtn: the largest input of 'kernel' is (0.0|nan|inf), so"):
            check_range("rtn", "kernel", jnp.array(absmax))


@pytest.mark.parametrize("symmetric", [True, False])
def test_a_shape_compiles_two_programs(symmetric, caplog):
    """Operations outside of jit would be compiled one by one, which takes minutes on the leaves of a model."""
    x = jnp.asarray(np.random.default_rng(0).normal(size=(4, 15)), jnp.float32)
    with jax.log_compiles():
        quantize("k", x, grid(4, 5, symmetric, axis=0, order=(1, 0)))
    assert len([r for r in caplog.records if "Finished XLA compilation" in r.getMessage()]) == 2
