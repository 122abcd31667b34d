"""Rounding to small floats, bit for bit as ml_dtypes casts."""

import jax
import ml_dtypes
import numpy as np
import pytest

from compressjax.numerics._minifloat import exponent, float_bits, power, round_float
from compressjax.quant.grids._formats import FORMATS
from compressjax.tensors.quantized._tables import TABLES

FLOATS = [FORMATS[name] for name in ("mxfp4", "mxfp6_e2m3", "mxfp6_e3m2", "fp8_e4m3", "fp8_e5m2")]


def numbers(largest):
    """Every number and every middle of a type, numbers beside the middles, and many magnitudes."""
    rng = np.random.default_rng(0)
    drawn = np.concatenate([rng.normal(size=2000) * 10.0**e for e in range(-8, 5)]).astype(np.float32)
    return np.clip(np.concatenate([drawn, [0.0, -0.0]]), -largest, largest).astype(np.float32)


@pytest.mark.turns(2)
@pytest.mark.parametrize("form", FLOATS, ids=lambda form: form.name)
def test_casts_of_ml_dtypes(form):
    dtype = getattr(ml_dtypes, form.table or form.dtype)
    every = np.arange(2**form.bits, dtype=np.uint8).view(dtype).astype(np.float32)
    every = np.sort(every[np.isfinite(every)])
    middles = (every[1:] + every[:-1]) / 2
    beside = [np.nextafter(middles, np.float32(side)) for side in (-np.inf, np.inf)]
    x = np.concatenate([numbers(form.largest), every, middles, *beside]).astype(np.float32)
    got = np.asarray(jax.jit(lambda x: round_float(x, form.mantissa, form.emin, form.largest))(x))
    want = x.astype(dtype)
    assert got.tobytes() == want.astype(np.float32).tobytes()
    bits = float_bits(got, form.mantissa, form.emin, form.bits)
    np.testing.assert_array_equal(bits, want.view(np.uint8) & (2**form.bits - 1))
    if form.table:
        assert TABLES[form.table][np.asarray(bits)].tobytes() == got.tobytes()


def test_numbers_above_the_largest_stop_there():
    assert round_float(np.float32([7.0, -1e9]), 1, 0, 6.0).tolist() == [6.0, -6.0]


def test_exponents_and_powers():
    x = np.float32([1.0, 1.99, 2.0, -0.75, 3e38, 1e-38])
    np.testing.assert_array_equal(exponent(x), np.floor(np.log2(np.abs(x.astype(np.float64)))).clip(-127))
    np.testing.assert_array_equal(power(np.int32([-200, -126, 5, 200])), 2.0 ** np.array([-126, -126, 5, 127]))
