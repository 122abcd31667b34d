"""Rounding to floats of at most 8 bits, in float32 arithmetic.

A cast to the type would do, but compilers may remove a cast down and up again, and XLA has no 6-bit arrays.
"""

import jax
import jax.numpy as jnp


def exponent(x: jax.Array) -> jax.Array:
    """`floor(log2(|x|))` of float32, int32; -127 for zero and subnormal numbers."""
    bits = jax.lax.bitcast_convert_type(x.astype(jnp.float32), jnp.int32)
    return ((bits >> 23) & 0xFF) - 127


def power(e: jax.Array) -> jax.Array:
    """`2^e` in float32, for exponents from -126 to 127; others are clipped."""
    return jax.lax.bitcast_convert_type((jnp.clip(e, -126, 127) + 127) << 23, jnp.float32)


def round_float(x: jax.Array, mantissa: int, emin: int, largest: float) -> jax.Array:
    """The nearest float with these mantissa bits, ties to even, at most `largest` in magnitude.

    Below `2^emin`, the smallest normal number, floats are multiples of `2^(emin - mantissa)`.
    """
    x = jnp.clip(x, -largest, largest)
    step = power(jnp.maximum(exponent(x), emin) - mantissa)
    return jnp.round(x / step) * step


def float_bits(x: jax.Array, mantissa: int, emin: int, width: int) -> jax.Array:
    """Bit patterns of `width` bits, uint8, of numbers that `round_float` returns."""
    e = jnp.maximum(exponent(x), emin)
    magnitude = ((e - emin) << mantissa) + (jnp.abs(x) / power(e - mantissa)).astype(jnp.int32)
    return (magnitude | (jnp.signbit(x).astype(jnp.int32) << (width - 1))).astype(jnp.uint8)
