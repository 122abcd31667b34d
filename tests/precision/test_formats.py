"""Rounding against the casts of ml_dtypes, and stochastic rounding against its expectation."""

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

from compressjax.precision import fixed_point, round_to


def magnitudes(draw):
    """Numbers of many sizes, numbers of the formats, and the middles between them."""
    drawn = np.concatenate([draw.normal(size=300) * 10.0**e for e in range(-8, 6)])
    codes = np.arange(256, dtype=np.uint8).view(ml_dtypes.float8_e4m3fn).astype(np.float32)
    codes = np.sort(codes[np.isfinite(codes)])
    halves = np.arange(0, 31744, 7, dtype=np.uint16).view(np.float16).astype(np.float32)
    middles = (codes[1:] + codes[:-1]) / 2
    ends = [65504, 65519.9, 65520, 65536, 3.39e38, 3.4e38, np.inf, -np.inf, np.nan, 0.0]
    return np.concatenate([drawn, codes, middles, halves, ends]).astype(np.float32)


@pytest.mark.parametrize("name", ["bfloat16", "float16", "float8_e4m3fn", "float8_e5m2"])
def test_casts_are_those_of_ml_dtypes(name, draw):
    x, kind = magnitudes(draw), jnp.dtype(name)
    got = np.asarray(jax.jit(lambda x: round_to(x, name))(x))
    largest = float(ml_dtypes.finfo(kind).max)
    # Formats of 8 bits end at their largest number; infinities stay.
    inside = np.where(np.isfinite(x) & (kind.itemsize == 1), np.clip(x, -largest, largest), x)
    with np.errstate(over="ignore"):
        expected = np.where(np.isfinite(x), inside.astype(kind).astype(np.float32), x)
    np.testing.assert_array_equal(got, expected)


def test_fixed_point_has_steps_and_ends():
    form = fixed_point(8, 4)
    assert round_to(jnp.array([0.03, 0.04, -9.0, 100.0, 0.09375]), form).tolist() == [
        0.0,
        0.0625,
        -7.9375,
        7.9375,
        0.125,
    ]
    assert round_to(jnp.array([2.5, 3.5, np.inf]), "q4.0").tolist() == [2.0, 4.0, np.inf]


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [("bfloat16", 1.0, 1.0078125), ("float16", 2.0**-24, 2.0**-23), ("e4m3", 240.0, 256.0), ("q4.2", 0.25, 0.5)],
)
def test_chance_is_right_on_average(name, low, high, key):
    share = 0.3
    x = jnp.full(20_000, low + share * (high - low), jnp.float32)
    got = np.asarray(round_to(jnp.concatenate([x, -x]), name, key))
    up = np.abs(got) == high
    assert (up | (np.abs(got) == low)).all()
    assert (np.sign(got) == np.repeat([1, -1], 20_000)).all()
    # Five standard deviations of a mean of 40,000 draws.
    assert abs(up.mean() - share) < 5 * np.sqrt(share * (1 - share) / 40_000)


def test_numbers_of_a_format_stay(key):
    x = jnp.array([0.0, 1.0, -448.0, 2.0**-9, np.inf, np.nan])
    for name in ("bfloat16", "e4m3", "float16"):
        np.testing.assert_array_equal(round_to(x, name, key), x)


def test_unknown_formats_are_named():
    with pytest.raises(ValueError, match="format 'int8' is not known; use one of float32, bfloat16"):
        round_to(jnp.ones(1), "int8")
    with pytest.raises(ValueError, match="bits=40 must be from 2 to 24"):
        fixed_point(40, 2)
