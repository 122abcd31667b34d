"""What a method of gradient compression is, and the three routes by which its messages travel."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from compressjax.core._checks import described
from compressjax.gradients._link import Link, as_floats


class Draw(NamedTuple):
    """Randomness of one leaf, the same for all workers: a key of the run, one of the step, and the step."""

    run: jax.Array
    key: jax.Array
    step: jax.Array


class Compressor(NamedTuple):
    """How workers average one gradient by short messages.

    Attributes:
        name: For messages.
        init: `(shape, key) -> state`, which is the same for all workers.
        exchange: `(x, state, draw, link) -> (own, mean, state)`: what this worker's message says, the mean of what the
            messages of all workers say, both float32 of the shape of `x`, and the state after it.
        feedback: The default for `exchange(feedback=)`.
    """

    name: str
    init: Callable[[tuple[int, ...], jax.Array], Any]
    exchange: Callable[[jax.Array, Any, Draw, Link], tuple[jax.Array, jax.Array, Any]]
    feedback: str


class Codec(NamedTuple):
    """A message: `encode(x [n], key) -> parts` and `decode(parts, n) -> x`."""

    encode: Callable[[jax.Array, jax.Array], Any]
    decode: Callable[[Any, int], jax.Array]


def stateless(shape: tuple[int, ...], key: jax.Array) -> tuple[()]:
    """No state."""
    del shape, key
    return ()


def gathered(name: str, codec: Codec, feedback: str) -> Compressor:
    """Every worker receives every message: for messages whose sum is longer than each of them."""

    def exchange(x: jax.Array, state: Any, draw: Draw, link: Link) -> tuple[jax.Array, jax.Array, Any]:
        flat = as_floats(x)
        parts = codec.encode(flat, link.own(draw.key))
        every = jax.vmap(lambda part: codec.decode(part, flat.size))(link.gather(parts))
        return codec.decode(parts, flat.size).reshape(x.shape), every.mean(0).reshape(x.shape), state

    return Compressor(name, stateless, exchange, feedback)


def two_phases(name: str, codec: Codec, feedback: str) -> Compressor:
    """Worker `i` averages part `i` of all messages, and sends it in the same code to all others.

    A worker receives two messages of the whole size, however many workers there are. What the second code loses counts
    as not yet sent by the worker that averaged: its `own` is lower by `n` times that, so the mean of `own` is `mean`.
    """

    def exchange(x: jax.Array, state: Any, draw: Draw, link: Link) -> tuple[jax.Array, jax.Array, Any]:
        workers, flat, key = link.size(), as_floats(x), link.own(draw.key)
        size = -(-flat.size // workers)
        chunks = jnp.pad(flat, (0, workers * size - flat.size)).reshape(workers, size)
        decode = jax.vmap(lambda part: codec.decode(part, size))
        parts = jax.vmap(codec.encode)(chunks, jax.random.split(key, workers))
        own, average = decode(parts), decode(link.swap(parts)).mean(0)
        second = codec.encode(average, jax.random.fold_in(key, workers))
        lost = average - codec.decode(second, size)
        own = own.at[link.place()].add(-workers * lost)
        mean = decode(link.gather(second))
        own, mean = (y.reshape(-1)[: flat.size].reshape(x.shape) for y in (own, mean))
        return own, mean, state

    return Compressor(name, stateless, exchange, feedback)


ROUTES = {"gather": gathered, "two-phase": two_phases}


def share_of(who: str, share: Any) -> float:
    """A share in (0, 1]."""
    try:
        number = float(share)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{who}: share is {described(share)}; pass a number in (0, 1], such as 0.01") from error
    if not 0 < number <= 1:
        raise ValueError(f"{who}: share={number} must be in (0, 1], the part of the entries that is sent, such as 0.01")
    return number


def count_of(share: float, size: int) -> int:
    """Entries of a share, at least 1."""
    return max(1, round(share * size))
