"""Training steps as functions without arguments, dense or under a compression, for timing."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import optax

import compressjax
from experiments import models
from experiments.problem import cross_entropy


def contenders(
    config: ml_collections.ConfigDict,
    compressions: Mapping[str, compressjax.Compression],
    steps: int | None = None,
) -> tuple[dict[str, Callable], int]:
    """Training of a model on random images, dense and with each compression.

    Args:
        config: `seed`, `model` `{name, settings}`, `shape` of a batch.
        compressions: by method.
        steps: as for `trainer`.

    Returns:
        Thunks by method, `dense` first; the number of weights.
    """
    draw = np.random.default_rng(config.seed)
    x = jnp.asarray(draw.normal(size=config.shape), jnp.float32)
    y = jnp.asarray(draw.integers(10, size=config.shape[0]))
    model = models.create(config.model.name, config.model.settings)
    params = jax.jit(model.init)(jax.random.key(config.seed), x)
    thunks = {
        name: trainer(model.apply, params, compression, x, y, steps)
        for name, compression in {"dense": None, **compressions}.items()
    }
    return thunks, sum(leaf.size for leaf in jax.tree.leaves(params))


def trainer(
    apply: Callable,
    params: Any,
    compression: compressjax.Compression | None,
    x: jax.Array,
    y: jax.Array,
    steps: int | None = None,
) -> Callable:
    """A function that continues training with Adam at every call; buffers are donated, as in a training loop.

    Args:
        apply: function of parameters and images.
        params: start; copied.
        compression: compression of the training run; None for plain training.
        x: images.
        y: labels.
        steps: of a call, in one compiled loop; one step without a loop when None.

    Returns:
        The thunk, which returns the last loss.
    """
    optimizer, entropy = optax.adam(1e-3), cross_entropy(apply)
    tx = compressjax.as_optax(compression, optimizer) if compression else optimizer

    def loss(params: Any, state: Any) -> jax.Array:
        return entropy(compression.view(params, state.compression) if compression else params, (x, y))

    def step(carry: tuple[Any, Any], _: Any = None) -> tuple[tuple[Any, Any], jax.Array]:
        params, state = carry
        value, grads = jax.value_and_grad(loss)(params, state)
        updates, state = tx.update(grads, state, params)
        return (optax.apply_updates(params, updates), state), value

    def call(*carry: Any) -> tuple[tuple[Any, Any], jax.Array]:
        if steps is None:
            return step(carry)
        carry, values = jax.lax.scan(step, carry, length=steps)
        return carry, values[-1]

    compiled = jax.jit(call, donate_argnums=(0, 1))
    held = [jax.tree.map(jnp.copy, params)]
    held.append(jax.jit(tx.init)(held[0]))

    def run() -> jax.Array:
        (held[0], held[1]), value = compiled(*held)
        return value

    return run
