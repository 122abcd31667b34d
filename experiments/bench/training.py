"""What masks and fake quantisation add to a training step of a small convolutional network."""

from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

import compressjax
from compressjax import prune, quant
from experiments import models
from experiments.bench.harness import Case
from experiments.bench.trainer import trainer

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
    thunks = {"dense": trainer(model.apply, params, None, x, y)}
    for method in config.methods:
        thunks[method] = trainer(model.apply, params, METHODS[method](config.steps), x, y)
    count = sum(leaf.size for leaf in jax.tree.leaves(params))
    name = f"step of {config.model.name}, {config.shape[0]} images"
    yield Case(name, thunks, {"weights": count}, {}, config.shape[0])
