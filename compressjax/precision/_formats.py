"""Number formats of mixed precision: short floats and fixed point, rounded to nearest or by chance."""

import re
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.core._settings import integers
from compressjax.numerics._keys import key_data, stream
from compressjax.numerics._minifloat import exponent, power, round_float


class Format(NamedTuple):
    """A number format.

    Attributes:
        name: Name, such as `"bfloat16"` or `"q8.8"`.
        dtype: Type of the arrays that hold it.
        mantissa: Mantissa bits of a float.
        emin: Exponent of the smallest normal float.
        largest: Largest number.
        step: Distance of two numbers of fixed point; 0 for floats.
        scaled: Whether products need a scale for each tensor.
    """

    name: str
    dtype: str
    mantissa: int
    emin: int
    largest: float
    step: float = 0.0
    scaled: bool = False


FLOATS = {
    "float32": Format("float32", "float32", 23, -126, float(np.finfo(np.float32).max)),
    "bfloat16": Format("bfloat16", "bfloat16", 7, -126, 2.0**127 * (2 - 2.0**-7)),
    "float16": Format("float16", "float16", 10, -14, 65504.0),
    "float8_e4m3fn": Format("float8_e4m3fn", "float8_e4m3fn", 3, -6, 448.0, scaled=True),
    "float8_e5m2": Format("float8_e5m2", "float8_e5m2", 2, -14, 57344.0, scaled=True),
}
_SHORT = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16", "e4m3": "float8_e4m3fn", "e5m2": "float8_e5m2"}


def fixed_point(bits: int, fraction: int) -> Format:
    """Returns a format of signed fixed point, held in float32.

    .. math:: x = 2^{-f} k, \\qquad |k| \\le 2^{b - 1} - 1

    Args:
        bits: Bits `b` of a number with its sign, 2 to 24.
        fraction: Bits `f` after the point, -100 to 100.

    Returns:
        The format; its name `"q8.8"` says the bits before and after the point.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> fixed_point(16, 8).name, fixed_point(8, 4).largest
        ('q8.8', 7.9375)

    Source: Gupta et al., arXiv:1502.02551 (gupta2015).
    """
    bits, fraction = integers("fixed_point", bits=bits, fraction=fraction)
    if not 2 <= bits <= 24 or not -100 <= fraction <= 100:
        raise ValueError(f"fixed_point: bits={bits} must be from 2 to 24, and fraction={fraction} from -100 to 100")
    step = 2.0**-fraction
    return Format(f"q{bits - fraction}.{fraction}", "float32", 0, 0, (2.0 ** (bits - 1) - 1) * step, step)


def as_format(who: str, given: Any) -> Format:
    """A format from its name, a dtype, or a format."""
    if isinstance(given, Format):
        return given
    name = str(given if isinstance(given, str) else getattr(given, "__name__", None) or getattr(given, "name", given))
    name = _SHORT.get(name, name)
    if name in FLOATS:
        return FLOATS[name]
    if found := re.fullmatch(r"q(-?\d+)\.(-?\d+)", name):
        return fixed_point(int(found[1]) + int(found[2]), int(found[2]))
    raise ValueError(
        f"{who}: format {name!r} is not known; use one of {', '.join(FLOATS)}, or fixed point such as 'q8.8'"
    )


def round_to(x: jax.Array, format: Any, key: jax.Array | None = None) -> jax.Array:
    """Rounds to the nearest number of a format, ties to even, or by chance to one of the two neighbors.

    .. math:: P(\\hat x = \\lceil x \\rceil) = \\frac{x - \\lfloor x \\rfloor}{\\lceil x \\rceil - \\lfloor x \\rfloor},
        \\qquad \\mathbb E\\, \\hat x = x

    Float16 and bfloat16 overflow to infinity; floats of 8 bits and fixed point end at their largest number. Infinities
    and NaN stay. What is above the largest number is not right on average.

    Args:
        x: Floating array.
        format: `"bfloat16"`, `"float16"`, `"float8_e4m3fn"`, `"float8_e5m2"`, or fixed point such as `"q8.8"`.
        key: PRNG key of stochastic rounding; None for the nearest.

    Returns:
        Array of the type of `x`, whose entries are numbers of the format.

    Raises:
        ValueError: If the format or the key is not known.

    Example:
        >>> round_to(jnp.array([0.3, 500.0]), "e4m3").tolist()
        [0.3125, 448.0]
        >>> halves = round_to(jnp.full(1000, 0.5), "q8.0", jax.random.key(0))
        >>> bool(450 < halves.sum() < 550)
        True

    Source: Gupta et al., arXiv:1502.02551 (gupta2015).
    """
    form, wide = as_format("round_to", format), x.astype(jnp.float32)
    if form.name == "float32":
        return x
    draw = None if key is None else stream(key_data(key), "round_to")
    rounded = _nearest(wide, form) if draw is None else _by_chance(wide, form, draw)
    return jnp.where(jnp.isfinite(wide), rounded, wide).astype(x.dtype)


def _nearest(x: jax.Array, form: Format) -> jax.Array:
    if form.step:
        return jnp.clip(jnp.round(x / form.step) * form.step, -form.largest, form.largest)
    if form.scaled:
        return round_float(x, form.mantissa, form.emin, form.largest)
    if form.name == "bfloat16":  # a cast down and up again may be removed by compilers
        return jax.lax.reduce_precision(x, exponent_bits=8, mantissa_bits=7)
    rounded = round_float(x, form.mantissa, form.emin, 2 * form.largest)
    return jnp.where(jnp.abs(rounded) > form.largest, jnp.sign(x) * jnp.inf, rounded)


def _by_chance(x: jax.Array, form: Format, key: jax.Array) -> jax.Array:
    if form.name == "bfloat16":
        # The magnitude is an integer whose lower half goes: what is added carries with the right probability.
        noise = jax.random.bits(key, x.shape, jnp.uint16).astype(jnp.uint32)
        bits = (jax.lax.bitcast_convert_type(x, jnp.uint32) + noise) & jnp.uint32(0xFFFF0000)
        return jax.lax.bitcast_convert_type(bits, jnp.float32)
    step = form.step or power(jnp.maximum(exponent(x), form.emin) - form.mantissa)
    places = jnp.abs(x) / step
    low = jnp.floor(places)
    up = jax.random.uniform(key, x.shape) < places - low
    rounded = jnp.copysign((low + up) * step, x)
    if form.step or form.scaled:
        return jnp.clip(rounded, -form.largest, form.largest)
    return jnp.where(jnp.abs(rounded) > form.largest, jnp.sign(x) * jnp.inf, rounded)
