"""Logistic mixing in integers: chances out of 2**16, their logits in steps of 1/256, weights in steps of 2**-16."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

_TOP = 2047  # logits beyond 8 say nothing new
_CELLS = 33  # of an adaptive map over logits
# Rounded once, in NumPy: a test checks that no entry is near a tie, so every machine has the same tables.
_LOGITS = np.arange(-_TOP, _TOP + 1) / 256
_SQUASH = np.rint(65536 / (1 + np.exp(-_LOGITS))).astype(np.int32)
_SHARES = (np.arange(4096) + 0.5) / 4096
_STRETCH = np.clip(np.rint(256 * np.log(_SHARES / (1 - _SHARES))), -_TOP, _TOP).astype(np.int32)
_RATES = np.array([65536 * 2 // (2 * n + 3) for n in range(1024)], np.int32)  # 1 / (n + 1.5)


def squash(logit: jax.Array) -> jax.Array:
    """Chances of logits."""
    return jnp.asarray(_SQUASH)[jnp.clip(logit, -_TOP, _TOP) + _TOP]


def stretch(chance: jax.Array) -> jax.Array:
    """Logits of chances."""
    return jnp.asarray(_STRETCH)[chance >> 4]


def toward(chance: jax.Array, bit: jax.Array, seen: jax.Array) -> jax.Array:
    """A chance after one more bit: the mean of all bits while `seen` of them are few, and a half at the start."""
    away = (bit << 16) - chance
    # Steps are rounded toward the middle, so chances stay inside of 1 to 65535.
    return jnp.clip(chance + ((away >> 2) * (jnp.asarray(_RATES)[seen] >> 1) >> 13), 1, 65535)


def mix(inputs: jax.Array, weights: jax.Array) -> jax.Array:
    """Weighted sums of logits `[m]` under weights `[..., m]`."""
    return jnp.clip(((inputs * weights) >> 8).sum(-1) >> 8, -_TOP, _TOP)


def learn(inputs: jax.Array, weights: jax.Array, chance: jax.Array, bit: jax.Array, rate: int) -> jax.Array:
    """Weights after a step down the gradient of the bits: `w + rate * input * (bit - chance)`."""
    error = ((bit << 16) - chance)[..., None]
    return jnp.clip(weights + ((inputs * (error * rate >> 4) + 2**15) >> 16), -(2**19), 2**19)


def refined(contexts: int) -> jax.Array:
    """An adaptive map `[contexts * cells]` of chances that changes nothing yet."""
    middle = np.clip((np.arange(_CELLS) - 16) * 128, -_TOP, _TOP) + _TOP
    return jnp.tile(jnp.asarray(_SQUASH[middle]), contexts)


def refine(table: jax.Array, context: jax.Array, logit: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The chance that a map gives a logit under a context, the two cells that it lies between, and their place."""
    place = jnp.clip(logit, -_TOP, _TOP) + 2048
    cell, part = place >> 7, place & 127
    first = context * _CELLS + cell
    cells = jax.lax.dynamic_slice(table, (first,), (2,))
    return (cells * jnp.stack([128 - part, part])).sum() >> 7, cells, first


def corrected(table: jax.Array, cells: jax.Array, first: jax.Array, bit: jax.Array) -> jax.Array:
    """A map whose two cells at a place have moved toward a bit."""
    return jax.lax.dynamic_update_slice(table, cells + (((bit << 16) - cells) >> 7), (first,))


def get(table: jax.Array, place: jax.Array) -> jax.Array:
    """The entry or row of a table at a place."""
    return jax.lax.dynamic_index_in_dim(table, place, keepdims=False)


def put(table: jax.Array, new: jax.Array, place: jax.Array) -> jax.Array:
    """A table with one entry or row changed, which XLA does in place where a scatter would be a loop."""
    return jax.lax.dynamic_update_index_in_dim(table, new, place, 0)
