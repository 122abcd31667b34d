"""Soft rounding: codes between two neighbors, which harden as a penalty grows."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from compressjax.quant._grid import Grid
from compressjax.tensors.quantized._grid import expand_blocks

# The stretched sigmoid reaches 0 and 1 at finite arguments.
_LOW, _HIGH = -0.1, 1.1
_WARMUP, _FIRST, _LAST = 0.2, 20.0, 2.0


class Schedule(NamedTuple):
    """Steps, learning rate and penalty of a search, and passes after it."""

    steps: int
    learning_rate: float
    penalty: float
    passes: int


class Room(NamedTuple):
    """A leaf between its lower and upper codes.

    Attributes:
        floor: Lower codes, as floats.
        low: Least code.
        high: Largest code.
        scale: Scales of the shape of the leaf.
        zero: Zero points of the shape of the leaf.
        kept: Whether a weight is not zero.
        start: The variables whose soft codes are the weights.
    """

    floor: jax.Array
    low: float
    high: float
    scale: jax.Array
    zero: jax.Array
    kept: jax.Array
    start: jax.Array


def start(weights: jax.Array, scale: jax.Array, zero_point: jax.Array | None, grid: Grid) -> Room:
    """The room of a leaf."""
    full = jnp.broadcast_to(expand_blocks(scale, weights.shape), weights.shape)
    zero = jnp.zeros_like(full)
    low, high = 1.0 - 2.0 ** (grid.bits - 1), 2.0 ** (grid.bits - 1) - 1
    if zero_point is not None:
        zero = jnp.broadcast_to(expand_blocks(zero_point, weights.shape), weights.shape).astype(jnp.float32)
        low, high = 0.0, 2.0**grid.bits - 1
    exact = weights / full
    floor = jnp.floor(exact)
    inside = (exact - floor - _LOW) / (_HIGH - _LOW)
    return Room(floor + zero, low, high, full, zero, weights != 0, jnp.log(inside / (1 - inside)))


def _gate(v: jax.Array) -> jax.Array:
    return jnp.clip(jax.nn.sigmoid(v) * (_HIGH - _LOW) + _LOW, 0.0, 1.0)


def soften(room: Room, v: jax.Array) -> jax.Array:
    """Weights between two codes."""
    codes = jnp.clip(room.floor + _gate(v), room.low, room.high)
    return jnp.where(room.kept, room.scale * (codes - room.zero), 0.0)


def harden(v: jax.Array) -> jax.Array:
    """Whether a weight is rounded up: where its gate is more than half open."""
    return _gate(v) > 0.5


def neighbor(room: Room, up: float) -> jax.Array:
    """The weights of the lower codes, or of the upper ones with `up=1`."""
    codes = jnp.clip(room.floor + up, room.low, room.high)
    return jnp.where(room.kept, room.scale * (codes - room.zero), 0.0)


def descend(
    up: jax.Array, kernel: jax.Array, moments: jax.Array, lower: jax.Array, upper: jax.Array, passes: int
) -> jax.Array:
    """Moves weights `[in, out]` to their other neighbor where that alone lowers `tr(D^T H D)`, input by input."""

    def one(k: jax.Array, carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        up, wrong = carry
        i = k % len(kernel)
        move = jnp.where(up[i], -1.0, 1.0) * (upper[i] - lower[i])
        slope = jnp.matmul(moments[i][None], wrong, precision=jax.lax.Precision.HIGHEST)[0]
        better = move * (2 * slope + move * moments[i, i]) < 0
        return up.at[i].set(up[i] ^ better), wrong.at[i].add(jnp.where(better, move, 0.0))

    wrong = jnp.where(up, upper, lower) - kernel
    up, _ = jax.lax.fori_loop(0, passes * len(kernel), one, (up, wrong))
    return jnp.where(up, upper, lower)


def adam(rule: Schedule, loss: Callable[[Any, jax.Array], jax.Array], first: Any) -> Any:
    """The variables after all steps of Adam on `loss(variables, step)`."""

    def step(i: jax.Array, carry: tuple[Any, Any, Any]) -> tuple[Any, Any, Any]:
        v, mean, square = carry
        slope = jax.grad(loss)(v, i)
        mean = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, mean, slope)
        square = jax.tree.map(lambda s, g: 0.999 * s + 0.001 * g * g, square, slope)
        t = (i + 1).astype(jnp.float32)

        def moved(v: jax.Array, m: jax.Array, s: jax.Array) -> jax.Array:
            return v - rule.learning_rate * (m / (1 - 0.9**t)) / (jnp.sqrt(s / (1 - 0.999**t)) + 1e-8)

        return jax.tree.map(moved, v, mean, square), mean, square

    zeros = jax.tree.map(jnp.zeros_like, first)
    return jax.lax.fori_loop(0, rule.steps, step, (first, zeros, zeros))[0]


def regularizer(rule: Schedule, room: Room, v: jax.Array, i: jax.Array) -> jax.Array:
    """The penalty `lambda sum(1 - |2 h - 1|^beta)`; beta falls on a half cosine after the warm-up."""
    share = jnp.clip((i / rule.steps - _WARMUP) / (1 - _WARMUP), 0.0, 1.0)
    beta = _LAST + (_FIRST - _LAST) * 0.5 * (1 + jnp.cos(share * jnp.pi))
    distance = jnp.abs(2 * _gate(v) - 1)
    # Zero at the middle has no derivative of its power.
    open_ = 1 - jnp.where(distance > 1e-6, distance, 1e-6) ** beta
    return jnp.where(i >= _WARMUP * rule.steps, rule.penalty, 0.0) * jnp.sum(jnp.where(room.kept, open_, 0.0))
