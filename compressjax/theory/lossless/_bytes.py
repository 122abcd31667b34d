"""Bytes coded bit by bit under a logistic mix of contexts that learns while it codes."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from compressjax.core._settings import as_int
from compressjax.theory.lossless import _arithmetic, _contexts, _match
from compressjax.theory.lossless._contexts import ROW
from compressjax.theory.lossless._logistic import (
    corrected,
    get,
    learn,
    mix,
    put,
    refine,
    refined,
    squash,
    stretch,
    toward,
)

_RATE = 6  # of the mixer's weights
_SEEN = 127  # bits after which a counter forgets
_FRONT = _match.LONGEST
_LARGEST = 2**26


class Small(NamedTuple):
    """What changes with every bit: maps of histories and of repeats, weights, refinements, coder, the partial byte."""

    histories: jax.Array
    repeats: jax.Array
    weights: tuple[jax.Array, ...]
    refined: tuple[jax.Array, jax.Array]
    coder: _arithmetic.Coder
    partial: jax.Array


class Model(NamedTuple):
    """All of it: the table of counters, hashes of what was read, the repeat, the text."""

    table: jax.Array
    hashes: jax.Array
    match: _match.Match
    text: jax.Array
    small: Small


def encode_bytes(data: bytes, *, orders: int = 6) -> bytes:
    """Compresses bytes with a mixture of contexts that learns while it codes; nothing is trained before.

    .. math:: P(b_t = 1) = \\sigma(\\sum_i w_i \\ln \\frac{p_i}{1 - p_i}), \\quad
        w_i \\leftarrow w_i + \\eta (b_t - P) \\ln \\frac{p_i}{1 - p_i}

    The contexts are the last 0 to `orders` bytes, the word so far, and the two last words; each gives the chance that
    its counter holds and the one that its last bits had elsewhere. A repeat of an earlier passage gives another, and
    two adaptive maps refine the result. Every number is an integer, and encoder and decoder run the same steps, so both
    have the same chances on every machine. One loop serves all sizes up to a power of two.

    Args:
        data: At most 2^26 bytes; about 100 MB of counters for the first 100 kB, and at most 600.
        orders: Length of the longest context, 1 to 6.

    Returns:
        The compressed bytes; `decode_bytes` gives the data back.

    Raises:
        ValueError: If the data are too long or `orders` is out of range.

    Example:
        >>> packed = encode_bytes(b"to be, or not to be, " * 9, orders=2)
        >>> len(packed) < 40, decode_bytes(packed)[:6]
        (True, b'to be,')

    Source: Mahoney, Adaptive weighing of context models for lossless data compression, 2005 (mahoney2005).
    """
    orders = as_int("encode_bytes", "orders", orders)
    if not 1 <= orders <= 6:
        raise ValueError(f"encode_bytes: orders={orders} must lie in 1 to 6, bytes of the longest context")
    if len(data) > _LARGEST:
        raise ValueError(f"encode_bytes: {len(data)} bytes are more than {_LARGEST}; cut them into parts")
    head = bytes([orders]) + len(data).to_bytes(4, "little")
    if not data:
        return head
    room = _room(len(data))
    text = np.frombuffer(data + bytes(room - len(data)), np.uint8)
    coder = _arithmetic.encoder(room + room // 4 + 64)
    found = _run(coder, jnp.asarray(text), len(data), orders, False)
    return head + _arithmetic.finish(found[0])


def decode_bytes(data: bytes) -> bytes:
    """Returns the bytes that `encode_bytes` compressed.

    Args:
        data: What `encode_bytes` returned.

    Returns:
        The bytes.

    Raises:
        ValueError: If the data cannot come from `encode_bytes`. A changed byte of the stream gives other bytes, and no
            error: where that matters, keep a checksum.

    Example:
        >>> decode_bytes(encode_bytes(b"", orders=1))
        b''
    """
    if len(data) < 5 or not 1 <= data[0] <= 6:
        raise ValueError("decode_bytes: these bytes do not come from encode_bytes; they have no head of five bytes")
    orders, size = data[0], int.from_bytes(data[1:5], "little")
    if size > _LARGEST:
        raise ValueError(f"decode_bytes: {size} bytes are claimed, more than {_LARGEST}; the data are damaged")
    if not size:
        return b""
    room = _room(size)
    coder = _arithmetic.decoder(data[5:] + bytes(max(0, room + room // 4 + 56 - len(data))))
    _, text = _run(coder, jnp.zeros(room, jnp.uint8), size, orders, True)
    return np.asarray(text)[_FRONT : _FRONT + size].tobytes()


def _room(size: int) -> int:
    """Sizes are rounded up to a power of two, so that few programs are compiled."""
    return max(64, 1 << (size - 1).bit_length())


def _fresh(orders: int, coder: _arithmetic.Coder, room: int) -> Model:
    count = orders + 3
    bits = min(20, max(6, room.bit_length()))
    table = jnp.full((count << bits, ROW), _contexts.FRESH, jnp.uint32)
    inputs = 2 * count + 3
    start = jnp.full((inputs,), 65536 // 4, jnp.int32)
    weights = tuple(jnp.tile(start, (sets, 1)) for sets in (256, 256, _match.BUCKETS * 8))
    maps = refined(256), refined(65536)
    repeats = jnp.full(_match.BUCKETS, 2**15, jnp.int32)
    small = Small(jnp.tile(_histories(), (count, 1)), repeats, weights, maps, coder, jnp.ones((), jnp.int32))
    text = jnp.zeros(_FRONT + room, jnp.uint8)
    return Model(table, jnp.zeros(4, jnp.uint32), _match.start(bits), text, small)


def _histories() -> jax.Array:
    """Chances after histories of bits, `(ones + 0.4) / (bits + 0.8)` in integers, and how much they count."""
    found = np.full(256, 2**15, np.int64)
    for history in range(1, 256):
        bits = history.bit_length() - 1
        ones = bin(history).count("1") - 1
        found[history] = (10 * ones + 4) * 65536 // (10 * bits + 8)
    return jnp.asarray(found, jnp.int32)


@functools.partial(jax.jit, static_argnums=(3, 4))
def _run(
    coder: _arithmetic.Coder, text: jax.Array, size: Any, orders: int, decoding: bool
) -> tuple[_arithmetic.Coder, jax.Array]:
    start = _fresh(orders, coder, len(text))
    bits = (start.table.shape[0] // (orders + 3)).bit_length() - 1

    def half(i: jax.Array, model: Model) -> Model:
        end, second = _FRONT + (i >> 1), i & 1
        previous = get(model.text, end - 1)
        hashes = jnp.where(second, model.hashes, _contexts.roll(model.hashes, previous))
        match = _match.follow(model.match, model.text, end, hashes, second == 0)
        first = jnp.where(second, model.small.partial, 0)
        rows, checks = _contexts.place(_contexts.contexts(hashes, orders), first, bits)
        nodes = _contexts.fetch(model.table, rows, checks)
        small = model.small._replace(partial=jnp.where(second, model.small.partial, 1))
        known = get(text, i >> 1).astype(jnp.int32)

        def bit(j: jax.Array, carry: tuple[jax.Array, Small]) -> tuple[jax.Array, Small]:
            done = 4 * second + j
            hint = _match.expected(match, model.text, carry[1].partial, done)
            return _bit(*carry, hint, previous.astype(jnp.int32), known >> (7 - done) & 1, j, decoding)

        nodes, small = jax.lax.fori_loop(0, 4, bit, (nodes, small))
        table = model.table
        for k in range(len(nodes)):
            table = jax.lax.dynamic_update_slice(table, nodes[k : k + 1], (rows[k], 0))
        written = jnp.where(second, small.partial, 0).astype(jnp.uint8)
        return Model(table, hashes, match, put(model.text, written, end), small)

    done = jax.lax.fori_loop(0, 2 * size, half, start)
    return done.small.coder, done.text


def _bit(
    nodes: jax.Array, small: Small, hint: tuple[jax.Array, jax.Array], previous: jax.Array, known: jax.Array,
    depth: jax.Array, decoding: bool,
) -> tuple[jax.Array, Small]:  # fmt: skip
    """Predicts a bit, codes it, and learns from it."""
    count, partial = len(nodes), small.partial
    column = (1 << depth) + (partial & (1 << depth) - 1)
    here = jnp.arange(ROW)[None] == column
    held = jnp.where(here, nodes, 0).sum(1, dtype=jnp.uint32)
    chance, seen, history = _contexts.read(held)
    own = jnp.arange(256)[None] == history[:, None]
    told = jnp.where(own, small.histories, 0).sum(1)
    guess, bucket = hint
    trust = get(small.repeats, bucket)
    sign = jnp.where(bucket > 0, 2 * guess - 1, 0)
    extra = jnp.stack([sign * stretch(trust), sign * bucket * 32, jnp.asarray(256, jnp.int32)])
    inputs = jnp.concatenate([stretch(chance), stretch(told), extra])
    sets = partial, previous, bucket * 8 + (seen > 0).sum() * 7 // count
    rows = [get(w, s) for w, s in zip(small.weights, sets, strict=True)]
    logits = [mix(inputs, row) for row in rows]
    logit = sum(logits[1:], logits[0]) // len(logits)
    looked = [refine(m, c, logit) for m, c in zip(small.refined, (partial, previous << 8 | partial), strict=True)]
    final = jnp.clip((squash(logit) * 2 + looked[0][0] + looked[1][0]) >> 2, 16, 65520)
    if decoding:
        coder, bit = _arithmetic.decode(small.coder, final)
    else:
        # The bit waits for the chance, as in a decoder: XLA would copy tables that it may write before they are read.
        bit = jnp.where(final > 0, known, 0)
        coder = _arithmetic.encode(small.coder, final, bit)
    fresh = _contexts.written(toward(chance, bit, seen), seen, history, bit, _SEEN)
    weights = tuple(
        put(w, learn(inputs, row, squash(one), bit, _RATE), s)
        for w, s, row, one in zip(small.weights, sets, rows, logits, strict=True)
    )
    hit = (bit == guess).astype(jnp.int32)
    moved = put(small.repeats, jnp.where(bucket > 0, toward(trust, hit, jnp.full_like(trust, 30)), trust), bucket)
    maps = [corrected(m, cells, at, bit) for m, (_, cells, at) in zip(small.refined, looked, strict=True)]
    histories = jnp.where(own, (told + (((bit << 16) - told) >> 6))[:, None], small.histories)
    nodes = jnp.where(here, fresh[:, None], nodes)
    return nodes, Small(histories, moved, weights, (maps[0], maps[1]), coder, partial << 1 | bit)
