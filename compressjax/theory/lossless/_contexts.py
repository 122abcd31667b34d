"""Contexts of a byte, and the rows of counters that they share in a table."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

ROW = 16  # a check and the 15 nodes of the tree of four bits
# A node: chance (16 bits), number of bits seen (8), the last up to 7 of them under a leading one (8).
FRESH = np.uint32(2**31 + 1)
_GOLDEN = np.uint32(0x9E3779B1)


def roll(hashes: jax.Array, byte: jax.Array) -> jax.Array:
    """Hashes `[8]` after a byte: of the last 4 bytes, of the 4 before, the word so far, the word before, two words."""
    last, before, word, earlier = hashes
    byte = byte.astype(jnp.uint32)
    lower = jnp.where((byte >= 65) & (byte <= 90), byte + 32, byte)
    letter = ((lower >= 97) & (lower <= 122)) | (byte >= 128)
    spelled = (word + lower) * np.uint32(0x2F0B4C47) + 1
    return jnp.stack([
        last << 8 | byte, before << 8 | last >> 24, jnp.where(letter, spelled, 0),
        jnp.where(letter | (word == 0), earlier, word),
    ])  # fmt: skip


def contexts(hashes: jax.Array, orders: int) -> jax.Array:
    """One number a context `[orders + 3]`: order 0 to `orders`, the word so far, and that with the word before."""
    last, before, word, earlier = hashes
    found = [jnp.zeros((), jnp.uint32)]
    for order in range(1, orders + 1):
        low = last & np.uint32(2 ** (8 * min(order, 4)) - 1)
        high = before & np.uint32(2 ** (8 * max(order - 4, 0)) - 1)
        found.append(scramble(low + _GOLDEN * scramble(high + np.uint32(order))))
    byte = last & 255
    return jnp.stack([*found, word + (byte << 24), word + _GOLDEN * earlier + (byte << 8)])


def scramble(x: jax.Array) -> jax.Array:
    """A bijection of 32-bit integers after which all bits depend on all bits."""
    x = (x ^ x >> 15) * np.uint32(0x2C1B3C6D)
    x = (x ^ x >> 12) * np.uint32(0x297A2D39)
    return x ^ x >> 15


def place(found: jax.Array, nibble: jax.Array, bits: int) -> tuple[jax.Array, jax.Array]:
    """Rows of contexts `[m]` in a table of `m * 2**bits` rows, and the checks that tell contexts apart.

    `nibble` is 0 in the first half of a byte, and 1 plus the first half in the second.
    """
    own = jnp.arange(len(found), dtype=jnp.uint32)
    mixed = scramble(found + (own + 1) * _GOLDEN + nibble.astype(jnp.uint32) * np.uint32(0x85EBCA77))
    rows = own << bits | mixed & np.uint32(2**bits - 1)
    return rows.astype(jnp.int32), mixed >> 16 | np.uint32(2**16)


def fetch(table: jax.Array, rows: jax.Array, checks: jax.Array) -> jax.Array:
    """Rows `[m, 16]` of counters; where another context wrote last, fresh ones."""
    found = table[rows]
    fresh = jnp.full((ROW,), FRESH, jnp.uint32).at[0].set(0)
    own = found[:, :1] == checks[:, None]
    return jnp.where(own, found, fresh[None]).at[:, 0].set(checks)


def read(nodes: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Chance, count and history of nodes, int32."""
    parts = nodes >> 16, nodes >> 8 & 255, nodes & 255
    chance, seen, history = (x.astype(jnp.int32) for x in parts)
    return chance, seen, history


def written(chance: jax.Array, seen: jax.Array, history: jax.Array, bit: jax.Array, limit: int) -> jax.Array:
    """Nodes after a bit, from their new chance and what they held."""
    longer = history << 1 | bit
    longer = jnp.where(longer > 255, longer & 127 | 128, longer)
    parts = chance, jnp.minimum(seen + 1, limit), longer
    new_chance, new_seen, new_history = (x.astype(jnp.uint32) for x in parts)
    return new_chance << 16 | new_seen << 8 | new_history
