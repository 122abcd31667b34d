"""Time of a network in blocks and of an early exit, relative to the whole network."""

import functools
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections

from compressjax import lift, structure, tensors
from experiments.bench.harness import Case


def cases(config: ml_collections.ConfigDict) -> Iterator[Case]:
    """A chain of dense or blockwise products by batch size; then one input with an early or a late exit.

    Args:
        config: `seed`, `width` and `depth` of the chain, `blocks`, `batches`.

    Yields:
        The cases, with the dense chain as the baseline.
    """
    keys = jax.random.split(jax.random.key(config.seed), config.depth)
    chain = [jax.random.normal(key, (config.width, config.width)) / config.width**0.5 for key in keys]
    parts = {b: structure.split_chain(chain, b, key=keys[0], restarts=1)[0] for b in config.blocks}
    for batch in config.batches:
        x = jax.random.normal(keys[-1], (batch, config.width))
        contenders = {"dense": _thunk(_dense, chain, x)}
        contenders |= {f"{b} blocks": _thunk(_blocks, found, x) for b, found in parts.items()}
        facts = {f"share of weights, {b} blocks": 1 / b for b in parts}
        yield Case(f"{config.depth} products of {config.width}, {batch} rows", contenders, facts)
    x = jax.random.normal(keys[0], (1, config.width))
    contenders = {"no branches": _thunk(lambda chain, x: _dense(chain, x) @ chain[0][:, :10], chain, x)}
    for name, threshold in (("leaves at the first branch", 0.0), ("goes to the end", 2.0)):
        contenders[name] = _thunk(_exits, chain, x, jnp.float32(threshold))
    yield Case(f"{config.depth} products of {config.width}, early exit", contenders, {})


def _thunk(fn: Callable, chain: Any, *args: Any) -> Callable:
    # Closed over, as in a prediction program: the positions of units are then constants.
    compiled = jax.jit(functools.partial(fn, chain))
    return lambda: compiled(*args)


def _dense(chain: list[jax.Array], x: jax.Array) -> jax.Array:
    for kernel in chain:
        x = jax.nn.relu(x @ kernel)
    return x


def _blocks(chain: list[tensors.BlockDiagonal], x: jax.Array) -> jax.Array:
    return lift(_dense)(chain, x)


def _exits(chain: list[jax.Array], x: jax.Array, threshold: jax.Array) -> jax.Array:
    head = chain[0][:, :10]  # of every branch: any kernel with ten outputs takes as long

    def stage(kernel: jax.Array) -> Callable:
        def run(x: jax.Array) -> tuple[jax.Array, jax.Array]:
            x = jax.nn.relu(x @ kernel)
            return x, x @ head

        return run

    return structure.run_exits([stage(kernel) for kernel in chain], [threshold] * (len(chain) - 1) + [0.0], x)[0]
