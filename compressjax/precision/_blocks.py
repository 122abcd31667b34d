"""Arrays of 8-bit codes with a scale for each block: a dynamic code with a moving exponent, or a linear one."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.numerics._explicit import with_auto_axes

CODES = ("dynamic", "linear")
_DECADES = 7


class Blocks(NamedTuple):
    """An array in 8 bits: `codes` of its own shape, int8 with a sign or uint8 without; code 0 is 0.

    Attributes:
        codes: Codes, in the shape of the array.
        scale: Largest magnitude of each block `[blocks]`, float32.
    """

    codes: jax.Array
    scale: jax.Array


@functools.partial(jax.jit, static_argnames=("block", "code", "signed"))
def pack(x: jax.Array, block: int, code: str, signed: bool) -> Blocks:
    """Codes of an array, in blocks of its entries in order; without a sign, what is positive stays positive."""

    def made(x: jax.Array) -> tuple[jax.Array, jax.Array]:
        rows = _rows(x.astype(jnp.float32), block)
        scale = jnp.max(jnp.abs(rows), axis=1)
        inside = rows / jnp.where(scale > 0, scale, 1.0)[:, None]
        magnitude = jnp.minimum(jnp.abs(inside), 1.0)
        level = _level(magnitude, code, signed)
        if signed:
            level = jnp.where(inside < 0, -jnp.minimum(level, 127), level)
        else:  # a second moment of 0 would divide by nothing
            level = jnp.where(magnitude > 0, jnp.maximum(level, 1), 0)
        # 128, which int8 has not, is the number 1: it takes the place of -128.
        codes = level.astype(jnp.uint8)
        return _flat(jax.lax.bitcast_convert_type(codes, jnp.int8) if signed else codes, x.shape), scale

    return Blocks(*with_auto_axes(made, (x, jnp.zeros(-(-x.size // block))))(x))


@functools.partial(jax.jit, static_argnames=("block", "code"))
def unpack(packed: Blocks, block: int, code: str) -> jax.Array:
    """The array of some codes, float32."""

    def made(codes: jax.Array, scale: jax.Array) -> jax.Array:
        signed = codes.dtype == jnp.int8
        level = codes.astype(jnp.int32)
        level = jnp.where(level == -128, 128, level) if signed else level
        values = jnp.copysign(_value(jnp.abs(level), code, signed), level.astype(jnp.float32))
        return _flat(_rows(values, block) * scale[:, None], codes.shape)

    return with_auto_axes(made, packed.codes)(*packed)


def _rows(x: jax.Array, block: int) -> jax.Array:
    flat = x.reshape(-1)
    return jnp.pad(flat, (0, -flat.size % block)).reshape(-1, block)


def _flat(rows: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    return rows.reshape(-1)[: int(np.prod(shape))].reshape(shape)


def _tables(signed: bool) -> tuple[np.ndarray, np.ndarray]:
    """Levels of the decades, and the magnitudes from which a number belongs to each one after the first."""
    counts = 2 ** (np.arange(_DECADES) + (0 if signed else 1))
    tens = 10.0 ** (np.arange(_DECADES) - _DECADES + 1)
    # The last level of a decade is 0.45 of a step below its end, the first of the next one 4.5 of its steps above.
    return counts, (tens * (1 + 0.9 / counts))[:-1]


def _chosen(decade: jax.Array, numbers: np.ndarray) -> jax.Array:
    """The number of every decade; a chain of choices is faster than a lookup on CPUs."""
    out = jnp.full(decade.shape, np.float32(numbers[0]))
    for i, number in enumerate(numbers[1:], 1):
        out = jnp.where(decade >= i, np.float32(number), out)
    return out


def _level(x: jax.Array, code: str, signed: bool) -> jax.Array:
    """Nearest level, int32, of magnitudes up to 1: 0 is the number 0, the last one is 1."""
    if code == "linear":
        return jnp.round(x * (127 if signed else 255)).astype(jnp.int32)
    counts, edges = _tables(signed)
    decade = sum(((x >= np.float32(edge)).astype(jnp.int32) for edge in edges), jnp.zeros(x.shape, jnp.int32))
    count = _chosen(decade, counts)
    within = (x * _chosen(decade, 10.0 ** (_DECADES - 1 - np.arange(_DECADES))) - 0.1) * count / np.float32(0.9)
    first = count if signed else count - 1  # 1, 2, 4, ..., or 1, 3, 7, ...
    level = first + jnp.clip(jnp.floor(within), 0, count - 1)
    smallest = 0.5 * np.float32(1e-6 * (0.1 + 0.45 / counts[0]))
    one = np.float32(1 - 0.225 / counts[-1])
    level = jnp.where(x < smallest, 0, jnp.where(x >= one, 128 if signed else 255, level))
    return level.astype(jnp.int32)


def _value(level: jax.Array, code: str, signed: bool) -> jax.Array:
    """The magnitude of a level, up to 1."""
    last = 128 if signed else 255
    if code == "linear":
        return level.astype(jnp.float32) / (127 if signed else 255)
    counts, _ = _tables(signed)
    firsts = counts if signed else counts - 1
    decade = sum(((level >= int(first)).astype(jnp.int32) for first in firsts[1:]), jnp.zeros(level.shape, jnp.int32))
    count = _chosen(decade, counts)
    place = level - _chosen(decade, firsts) + 0.5
    inside = (0.1 + np.float32(0.9) * place / count) * _chosen(decade, 10.0 ** (np.arange(_DECADES) - _DECADES + 1))
    return jnp.where(level == 0, 0.0, jnp.where(level >= last, 1.0, inside))
