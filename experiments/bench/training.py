"""What masks and fake quantisation add to a training step of a small convolutional network."""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import optax

import compressjax
from compressjax import prune, quant
from experiments import models
from experiments.bench.harness import Case

METHODS: dict[str, Callable[[int], compressjax.Compression]] = {
    "masked": lambda steps: prune.gradual(0.9, begin=0, end=steps),
    "masked anew every step": lambda steps: prune.gradual(0.9, begin=0, end=steps, every=1),
    "rigl": lambda steps: prune.rigl(0.9, jax.random.key(0), end=steps),
    "qat 4 bits": lambda steps: quant.fake(bits=4),
    "qat 8 bits": lambda steps: quant.fake(bits=8),
}


def cases(config: ml_collections.ConfigDict) -> Iterator[Case]:
    """One case: a dense step against a step under each method.

    Args:
        config: `seed`, `model` `{name, settings}`, `shape` of a batch, `methods`, `steps` of the schedules.

    Yields:
        The case, with the dense step as the baseline.
    """
    draw = np.random.default_rng(config.seed)
    x = jnp.asarray(draw.normal(size=config.shape), jnp.float32)
    y = jnp.asarray(draw.integers(10, size=config.shape[0]))
    model = models.create(config.model.name, config.model.settings)
    params = jax.jit(model.init)(jax.random.key(config.seed), x)
    thunks = {"dense": training(model.apply, params, compressjax.identity(), x, y)}
    for method in config.methods:
        thunks[method] = training(model.apply, params, METHODS[method](config.steps), x, y)
    count = sum(leaf.size for leaf in jax.tree.leaves(params))
    name = f"step of {config.model.name}, {config.shape[0]} images"
    yield Case(name, thunks, {"weights": count}, {}, config.shape[0])


def training(
    apply: Callable, params: Any, compression: compressjax.Compression, x: jax.Array, y: jax.Array
) -> Callable:
    """A thunk that takes one Adam step further at every call; buffers are donated, as in a training loop.

    Args:
        apply: function of parameters and images.
        params: start; copied.
        compression: what acts in the training; identity for a dense step.
        x: images.
        y: labels.

    Returns:
        The thunk, which returns the loss.
    """
    optimiser = optax.adam(1e-3)
    dense = compression.name == "identity"
    tx = optimiser if dense else compressjax.as_optax(compression, optimiser)

    def loss(params: Any, state: Any) -> jax.Array:
        seen = params if dense else compression.view(params, state.compression)
        return optax.softmax_cross_entropy_with_integer_labels(apply(seen, x), y).mean()

    def step(params: Any, state: Any) -> tuple[Any, Any, jax.Array]:
        value, grads = jax.value_and_grad(loss)(params, state)
        updates, state = tx.update(grads, state, params)
        return optax.apply_updates(params, updates), state, value

    compiled = jax.jit(step, donate_argnums=(0, 1))
    held = [jax.tree.map(jnp.copy, params)]
    held.append(jax.jit(tx.init)(held[0]))

    def run() -> jax.Array:
        held[0], held[1], value = compiled(*held)
        return value

    return run
