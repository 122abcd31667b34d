"""Scales of smaller types, and scales that have scales."""

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

from compressjax import core, quant
from compressjax.quant.grids._quantize import quantize
from compressjax.quant.grids._stored import second_blocks
from compressjax.tensors import Quantized


def test_blocks_of_scales_always_divide():
    assert second_blocks((8, 32), 256) == (1, 1)
    assert second_blocks((8, 320), 256) == (8, 2)
    assert second_blocks((12, 48), 256) == (3, 1)
    assert second_blocks((5, 7, 48), 256) == (5, 7, 1)[:1] + second_blocks((7, 48), 256)
    assert second_blocks((7,), 4) == (7,)
    assert second_blocks((8, 32), "tensor") == (1, 1)


@pytest.mark.parametrize(("scale", "dtype"), [("float16", jnp.float16), ("bfloat16", jnp.bfloat16)])
def test_short_scales_are_the_nearest(scale, dtype, key):
    x = jax.random.normal(key, (16, 6)) * 1e-2
    node, _ = quantize("k", x, quant.grid(4, scale=scale))
    assert node.scale.dtype == dtype
    want = (np.abs(np.asarray(x)).max(0, keepdims=True) / 7).astype(dtype).astype(np.float32)
    np.testing.assert_allclose(node.scale.astype(jnp.float32), want, rtol=1e-6)


def test_powers_of_two_follow_the_rule_of_ocp(key):
    x = np.asarray(jax.random.normal(key, (16, 6))) * 10.0 ** np.arange(-3, 3, dtype=np.float32)
    for bits in (4, 8):
        node, _ = quantize("k", jnp.asarray(x), quant.grid(bits, scale="e8m0"))
        assert node.scale.dtype == jnp.float8_e8m0fnu
        want = 2.0 ** (np.floor(np.log2(np.abs(x).max(0))) - (bits - 2))
        np.testing.assert_array_equal(node.scale.astype(jnp.float32)[0], want)


@pytest.mark.turns(2)
@pytest.mark.parametrize(("scale", "top", "dtype"), [("uint8", 255, np.uint8), ("e4m3", 448, ml_dtypes.float8_e4m3fn)])
def test_scales_of_scales(scale, top, dtype, key):
    x = np.asarray(jax.random.normal(key, (64, 8))).copy()
    x[8:16, 2] = 0.0
    node, _ = quantize("k", jnp.asarray(x), quant.grid(4, granularity=8, scale=scale, second=32))
    assert isinstance(node.scale, Quantized)
    assert node.scale.codes.dtype == dtype
    assert node.scale.shape == (8, 8)
    assert node.scale.scale.shape == (2, 1)
    wanted = np.abs(x).reshape(8, 8, 8).max(1) / 7
    second = np.repeat(wanted.reshape(2, 4, 8).max((1, 2)) / top, 4)[:, None]
    np.testing.assert_allclose(np.repeat(node.scale.scale, 4, 0), second, rtol=2**-15)
    units = wanted / np.repeat(node.scale.scale, 4, 0)
    codes = np.round(units).clip(1) if scale == "uint8" else units.astype(dtype).astype(np.float32).clip(2.0**-9)
    np.testing.assert_array_equal(node.scale.numbers(), codes)
    assert not np.asarray(node.materialize())[8:16, 2].any()
    assert core.entry_bits(node) == 4 * 512 + 8 * 64 + 32 * 2


def test_a_second_rounding_changes_nothing(key):
    x = jax.random.normal(key, (64, 8))
    for name in ("nf4", "nvfp4", "mxfp4", "binary", "ternary"):
        grid = quant.grid(name, granularity=16, **({"second": 32} if name == "nf4" else {}))
        once = quantize("k", x, grid)[0].materialize()
        np.testing.assert_array_equal(quantize("k", once, grid)[0].materialize(), once)
