"""A small recurrent network of bytes that is made to learn while it codes a text: nothing of it is trained before.

It reads hashes of the last one to six bytes, what followed their last three, four and six bytes when they stood there
before, and a gated linear recurrence (a state-space model whose rates depend on the input). Its first parameters follow
from a seed, so they cost no bytes.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from compressjax import theory

ORDERS, MATCHES = 6, (3, 4, 6)
EMBEDDING, WIDTH = 32, 192
TABLE_BITS, MATCH_BITS, LONGEST = 15, 16, 16
WINDOW, RATE = 16, 3e-3


def encode(data: bytes, streams: int) -> bytes:
    """Compresses bytes, padded to streams of one length that are coded together."""
    padded = np.frombuffer(data + bytes(-len(data) % streams), np.uint8).reshape(streams, -1)
    model = learner(streams)
    return theory.encode_tokens(model.step, (), model.state, padded.astype(np.int32))


def decode(packed: bytes, size: int, streams: int) -> bytes:
    """The bytes that `encode` compressed."""
    model = learner(streams)
    found = theory.decode_tokens(model.step, (), model.state, packed, (streams, -(-size // streams)))
    return found.astype(np.uint8).tobytes()[:size]


def learner(streams: int) -> theory.Online:
    """The network with its optimizer, as it is before the first byte."""
    optimizer = optax.adam(RATE, b2=0.98)
    return theory.online(step, first(), memory(streams), optimizer, streams=streams, window=WINDOW)


class Memory(NamedTuple):
    """What the network remembers: the last bytes, its hidden values, what followed, what it guesses, and how often."""

    last: jax.Array
    hidden: jax.Array
    followed: jax.Array
    guesses: jax.Array
    hits: jax.Array


def memory(streams: int) -> Memory:
    """The memory before the first byte."""
    return Memory(
        jnp.zeros((streams, ORDERS), jnp.int32),
        jnp.zeros((streams, WIDTH)),
        jnp.zeros((len(MATCHES), streams, 2**MATCH_BITS), jnp.uint8),
        jnp.zeros((len(MATCHES), streams), jnp.int32),
        jnp.zeros((len(MATCHES), streams), jnp.int32),
    )


def first(seed: int = 0) -> dict[str, Any]:
    """The first parameters."""
    keys = iter(jax.random.split(jax.random.key(seed), 9))
    wide = EMBEDDING * (ORDERS + len(MATCHES))

    def drawn(*shape: int) -> jax.Array:
        return jax.random.normal(next(keys), shape) / shape[0] ** 0.5

    return {
        "bytes": 5 * drawn(256, EMBEDDING),
        "contexts": jnp.zeros((ORDERS - 1, 2**TABLE_BITS, EMBEDDING)),
        "guesses": 5 * drawn(256, len(MATCHES), EMBEDDING),
        "trust": jnp.tile(0.2 * jnp.arange(LONGEST), (len(MATCHES), 1)),
        "enter": drawn(wide, WIDTH),
        "rate": drawn(WIDTH, WIDTH),
        "value": drawn(WIDTH, WIDTH),
        "up": drawn(WIDTH, 2 * WIDTH),
        "down": jnp.zeros((2 * WIDTH, WIDTH)),
        "out": jnp.zeros((WIDTH, 256)),
        "straight": jnp.zeros((wide, 256)),
        "biases": [jnp.zeros(n) for n in (WIDTH, WIDTH, 2 * WIDTH, 256)],
    }


def step(params: Any, held: Memory, tokens: jax.Array) -> tuple[Memory, jax.Array]:
    """Reads one byte of every stream, and gives logits of the next one."""
    enter, rate, up, out = params["biases"]
    streams = jnp.arange(len(tokens))
    rows = jnp.arange(len(MATCHES))[:, None]
    hits = jnp.where(held.guesses == tokens, jnp.minimum(held.hits + 1, LONGEST - 1), 0)
    followed = held.followed.at[rows, streams, matched(held.last)].set(tokens.astype(jnp.uint8))
    last = jnp.concatenate([tokens[:, None], held.last[:, :-1]], axis=1)
    guesses = followed[rows, streams, matched(last)].astype(jnp.int32)

    places = jnp.stack([h >> (32 - TABLE_BITS) for h in hashes(last)[1:]])
    contexts = params["contexts"][jnp.arange(ORDERS - 1)[:, None], places]
    told = params["guesses"][guesses, rows] * (1 + 0.3 * jnp.sqrt(hits.astype(jnp.float32)))[..., None]
    features = jnp.concatenate([params["bytes"][tokens], *contexts, *told], axis=-1)
    x = normalized(features @ params["enter"] + enter)
    gate = jax.nn.sigmoid(x @ params["rate"] + rate - 1)
    hidden = (1 - gate) * held.hidden + gate * (x @ params["value"])
    y = x + normalized(hidden)
    y = y + jax.nn.gelu(normalized(y) @ params["up"] + up) @ params["down"]
    logits = normalized(y) @ params["out"] + features @ params["straight"] + out
    logits += jnp.sum(jax.nn.one_hot(guesses, 256) * params["trust"][rows, hits][..., None], axis=0)
    return Memory(last, hidden, followed, guesses, hits), logits


def hashes(last: jax.Array) -> list[jax.Array]:
    """Hashes of the last byte, of the last two, and so on, in the upper bits."""

    def mixed(before: jax.Array, byte: jax.Array) -> jax.Array:
        h = (before * jnp.uint32(0x2F0B4C47) + byte.astype(jnp.uint32) + 1) * jnp.uint32(0x9E3779B1)
        return h ^ (h >> 15)

    found, before = [], jnp.zeros(len(last), jnp.uint32)
    for order in range(ORDERS):
        before = mixed(before, last[:, order])
        found.append(before)
    return found


def matched(last: jax.Array) -> jax.Array:
    """Places of the contexts in the tables of what followed, `[matches, streams]`."""
    found = hashes(last)
    return jnp.stack([found[order - 1] >> (32 - MATCH_BITS) for order in MATCHES])


def normalized(x: jax.Array) -> jax.Array:
    """Rows of mean square 1."""
    return x * jax.lax.rsqrt(jnp.mean(x * x, axis=-1, keepdims=True) + 1e-6)
