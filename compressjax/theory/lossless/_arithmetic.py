"""A binary arithmetic coder in 32-bit integers, as steps that run inside `lax.scan`."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

ONE = 16  # probabilities are integers out of 2**16


class Coder(NamedTuple):
    """Interval, the decoder's window of the stream, the stream, and the place of the next byte in it."""

    low: jax.Array
    high: jax.Array
    window: jax.Array
    stream: jax.Array
    place: jax.Array


def encoder(capacity: int) -> Coder:
    """A coder that has written nothing; the capacity is in bytes."""
    return _fresh(np.zeros(capacity, np.uint8), 0, 0)


def decoder(data: bytes) -> Coder:
    """A coder that reads a stream, which ends in four zeros or more that are not read."""
    padded = np.frombuffer(data, np.uint8)
    return _fresh(padded, int.from_bytes(padded[:4].tobytes(), "big"), 4)


def _fresh(stream: np.ndarray, window: int, place: int) -> Coder:
    low, high, held = (jnp.asarray(x, jnp.uint32) for x in (0, 2**32 - 1, window))
    return Coder(low, high, held, jnp.asarray(stream), jnp.asarray(place, jnp.int32))


def encode(coder: Coder, chance: jax.Array, bit: jax.Array) -> Coder:
    """Writes a bit whose chance to be 1 is `chance / 2**16`, from 1 to 65535."""
    coder = _narrow(coder, chance, bit)

    def shift(c: Coder) -> Coder:
        stream = jax.lax.dynamic_update_index_in_dim(c.stream, (c.high >> 24).astype(jnp.uint8), c.place, 0)
        return Coder(c.low << 8, c.high << 8 | 255, c.window, stream, c.place + 1)

    return jax.lax.while_loop(_settled, shift, coder)


def decode(coder: Coder, chance: jax.Array) -> tuple[Coder, jax.Array]:
    """Reads a bit that was written with the same chance."""
    bit = (coder.window <= _split(coder, chance)).astype(jnp.int32)
    coder = _narrow(coder, chance, bit)

    def shift(c: Coder) -> Coder:
        new = jax.lax.dynamic_index_in_dim(c.stream, c.place, keepdims=False).astype(jnp.uint32)
        return Coder(c.low << 8, c.high << 8 | 255, c.window << 8 | new, c.stream, c.place + 1)

    return jax.lax.while_loop(_settled, shift, coder), bit


def finish(coder: Coder) -> bytes:
    """The stream, with as few bytes as name a number in the last interval; zeros at its end are left out."""
    low, high, place = int(coder.low), int(coder.high), int(coder.place)
    last = next(high & mask for mask in (0, 0xFF000000, 0xFFFF0000, 0xFFFFFF00, 0xFFFFFFFF) if high & mask >= low)
    return (np.asarray(coder.stream[:place]).tobytes() + last.to_bytes(4, "big")).rstrip(b"\0")


def _split(coder: Coder, chance: jax.Array) -> jax.Array:
    width, chance = coder.high - coder.low, chance.astype(jnp.uint32)
    return coder.low + (width >> ONE) * chance + ((width & 0xFFFF) * chance >> ONE)


def _narrow(coder: Coder, chance: jax.Array, bit: jax.Array) -> Coder:
    middle = _split(coder, chance)
    return coder._replace(low=jnp.where(bit, coder.low, middle + 1), high=jnp.where(bit, middle, coder.high))


def _settled(coder: Coder) -> jax.Array:
    """Whether the first byte of the interval is known."""
    return (coder.low ^ coder.high) >> 24 == 0
