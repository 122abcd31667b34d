"""Codes of every format, bit for bit against ml_dtypes and brute force."""

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

from compressjax import quant
from compressjax.quant._grid import nearest
from compressjax.quant.grids._codes import round_codes
from compressjax.quant.grids._formats import FORMATS
from compressjax.quant.grids._quantize import quantize
from compressjax.tensors.quantized._tables import TABLES

X = (np.random.default_rng(0).normal(size=(64, 6)) * 10.0 ** np.arange(-3, 3)).astype(np.float32)
MX = [name for name in FORMATS if name.startswith("mxfp")]


@pytest.mark.turns(2)
@pytest.mark.parametrize("name", MX)
def test_microscaling(name):
    """OCP MX: the scale is `2^(floor(log2 max|x|) - emax)`; elements are cast, and stop at the largest."""
    form = FORMATS[name]
    dtype = getattr(ml_dtypes, form.table or form.dtype)
    node, _ = quantize("k", jnp.asarray(X), quant.grid(name))
    blocks = np.abs(X.astype(np.float64)).reshape(2, 32, 6).max(1)
    scale = 2.0 ** (np.floor(np.log2(blocks)) - np.floor(np.log2(float(ml_dtypes.finfo(dtype).max))))
    assert node.scale.dtype == jnp.float8_e8m0fnu
    np.testing.assert_array_equal(np.asarray(node.scale).astype(np.float64), scale)
    units = (X / np.repeat(scale, 32, 0)).clip(-form.largest, form.largest).astype(np.float32).astype(dtype)
    codes = np.asarray(node.dense_codes())
    assert codes.view(np.uint8).tobytes() == (units.view(np.uint8) & (2**form.bits - 1)).tobytes()
    np.testing.assert_array_equal(node.materialize(), units.astype(np.float32) * np.repeat(scale, 32, 0))


def test_mxint8():
    """Elements are `m / 64`, between -127 and 127, and the scale is `2^floor(log2 max|x|)`."""
    node, _ = quantize("k", jnp.asarray(X), quant.grid("mxint8"))
    power = 2.0 ** np.floor(np.log2(np.abs(X).reshape(2, 32, 6).max(1)))
    elements = np.round(X / np.repeat(power, 32, 0) * 64).clip(-127, 127) / 64
    np.testing.assert_array_equal(node.materialize(), elements * np.repeat(power, 32, 0))


def test_nvfp4():
    """A float8 scale per 16 weights, in units of one float32 that maps the largest scale to 448."""
    node, _ = quantize("k", jnp.asarray(X), quant.grid("nvfp4"))
    unit = np.asarray(node.scale.scale)
    np.testing.assert_allclose(unit, [[np.abs(X).max() / (6 * 448)]], rtol=2**-15)
    scales = np.abs(X).reshape(4, 16, 6).max(1) / 6 / unit
    want = scales.astype(np.float32).clip(2.0**-9, 448).astype(ml_dtypes.float8_e4m3fn)
    assert np.asarray(node.scale.codes).tobytes() == want.tobytes()
    spread = np.repeat(want.astype(np.float32) * unit, 16, 0)
    codes = (X / spread).clip(-6, 6).astype(ml_dtypes.float4_e2m1fn)
    assert np.asarray(node.dense_codes()).tobytes() == codes.tobytes()


@pytest.mark.parametrize("name", ["fp8_e4m3", "fp8_e5m2"])
def test_fp8(name):
    form = FORMATS[name]
    node, inside = quantize("k", jnp.asarray(X), quant.grid(name))
    np.testing.assert_allclose(node.scale[0], np.abs(X).max(0) / form.largest, rtol=2**-15)
    want = (X / np.asarray(node.scale)).clip(-form.largest, form.largest).astype(node.codes.dtype)
    assert np.asarray(node.dense_codes()).tobytes() == want.tobytes()
    assert inside.mean() > 0.9


def test_nf4_takes_the_nearest_level():
    node, _ = quantize("k", jnp.asarray(X), quant.grid("nf4", scale="float32"))
    levels = TABLES["nf4"].astype(np.float64)
    far = np.abs(X[..., None] / np.asarray(node.scale, np.float64)[..., None] - levels)
    np.testing.assert_array_equal(node.dense_codes(), far.argmin(-1))
    np.testing.assert_allclose(node.scale[0], np.abs(X).max(0), rtol=2**-15)


@pytest.mark.thorough
def test_nf4_has_less_error_than_int4_on_normal_weights(key):
    w = jax.random.normal(key, (1024, 16))
    errors = {name: float(jnp.mean((quantize("k", w, quant.grid(name, granularity=64))[0].materialize() - w) ** 2))
              for name in ("nf4", "int4")}  # fmt: skip
    assert errors["nf4"] < 0.85 * errors["int4"]


def test_rounding_by_chance_is_right_on_average(key):
    x = jnp.asarray(X[:8, 2:4])
    for symmetric in (True, False):
        grid = quant.grid(3, symmetric=symmetric)
        fixed, _ = quantize("k", x, grid)
        zero = fixed.zero_point

        def dense(key, grid=grid, fixed=fixed, zero=zero):
            codes, _ = round_codes(x, fixed.scale, zero, grid, key)
            return (codes.astype(jnp.float32) - (0 if zero is None else zero)) * fixed.scale

        mean = jnp.mean(jax.jit(jax.vmap(dense))(jax.random.split(key, 4096)), axis=0)
        reach = fixed.materialize()
        inner = (x > reach.min(0, keepdims=True)) & (x < reach.max(0, keepdims=True))
        # One rounding has a standard deviation of at most half a step; the mean of 4096, of 1/128.
        assert np.all(np.where(inner, np.abs(mean - x), 0) < 5 / 128 * fixed.scale)
        assert np.mean(np.abs(fixed.materialize() - x) > 5 / 128 * fixed.scale) > 0.5


def test_what_is_on_the_grid_stays_there(key):
    grid = quant.grid(4)
    once, _ = quantize("k", jnp.asarray(X), grid)
    np.testing.assert_array_equal(quantize("k", once.materialize(), grid, key=key)[0].materialize(), once.materialize())


@pytest.mark.turns(2)
@pytest.mark.parametrize("name", ["nf4", "mxfp6_e3m2", "nvfp4", "ternary", "binary", "fp8_e5m2"])
def test_the_compiler_changes_nothing(name):
    grid = quant.grid(name)
    node, _ = quantize("k", jnp.asarray(X), grid)
    compiled = jax.jit(lambda x: quantize("k", x, grid)[0].materialize())(X)
    assert np.asarray(node.materialize()).tobytes() == np.asarray(compiled).tobytes()
    plain = nearest(jnp.asarray(X), node.plain().scale, None, grid)
    np.testing.assert_array_equal(plain, node.materialize())
